"""True masks degraded to coarse scores, as of a segmentation network: what the SPN refines.

``draw_degradation`` draws plain numbers from a generator; ``coarse_scores`` is a function of these
numbers and the mask.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from vostrack.checks import check_at_least
from vostrack.errors import InputError

__all__ = ["Degradation", "DegradationConfig", "Part", "coarse_scores", "draw_degradation"]


@dataclass(frozen=True)
class DegradationConfig:
    """How far coarse scores may differ from the true mask. Lengths are in pixels.

    Attributes:
        shift: the mask moves by -shift .. shift along each axis, half of that on average.
        spread: it is dilated by up to ``spread``, or eroded by up to as much.
        blur: highest standard deviation of a Gaussian.
        cell: highest side of the cells, each of which has one score; drawn on a log scale from 1.
        holes: highest number of parts of the object that are lost.
        islands: highest number of parts of the background that are added to the object.
        part: smallest and largest radius of a part, as a share of the radius of a disc as large as
            the object.
        noise: highest standard deviation of noise on the logits, one value per cell.
        steepness: lowest and highest logit of a cell that lies completely inside.
    """

    shift: float = 6
    spread: float = 6
    blur: float = 5
    cell: float = 16
    holes: int = 2
    islands: int = 2
    part: tuple[float, float] = (0.1, 0.5)
    noise: float = 1.5
    steepness: tuple[float, float] = (2, 8)

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: a value is out of its range.
        """
        least = {
            "shift": 0,
            "spread": 0,
            "blur": 0,
            "cell": 1,
            "holes": 0,
            "islands": 0,
            "noise": 0,
        }
        check_at_least(self, least, prefix="degradation.")
        for name in ("part", "steepness"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise InputError(
                    f"degradation.{name}: expected 0 < lowest <= highest, got {low}, {high}"
                )


@dataclass(frozen=True)
class Part:
    """An ellipse that is lost or added.

    Attributes:
        place: the centre among the possible pixels, as a share of their number.
        radius: as a share of the object's own.
        stretch: ratio of its height to its width.
    """

    place: float
    radius: float
    stretch: float


@dataclass(frozen=True)
class Degradation:
    """One draw, which determines the scores. By default it changes only the steepness.

    Attributes:
        shift: (x, y), pixels to the right and down.
        spread: pixels of dilation; of erosion where negative.
        blur: standard deviation of the Gaussian, pixels.
        cell: pixels per cell along an axis.
        holes: parts that are lost.
        islands: parts that are added.
        noise: standard deviation of the noise on the logits.
        noise_seed: of that noise.
        steepness: logit of a cell that lies completely inside.
    """

    shift: tuple[int, int] = (0, 0)
    spread: int = 0
    blur: float = 0.0
    cell: float = 1.0
    holes: tuple[Part, ...] = ()
    islands: tuple[Part, ...] = ()
    noise: float = 0.0
    noise_seed: int = 0
    steepness: float = 8.0


def draw_degradation(config: DegradationConfig, generator: Generator) -> Degradation:
    """Draw the degradation of one mask.

    Args:
        config: the ranges.
        generator: the only source of chance.
    """

    def uniform(low: float, high: float) -> float:
        return low + float(torch.rand((), generator=generator, dtype=torch.float64)) * (high - low)

    def parts(most: int) -> tuple[Part, ...]:
        count = int(uniform(0, most + 1 - 1e-9))
        # Drawn one after the other, in this order.
        return tuple(
            Part(uniform(0, 1), uniform(*config.part), math.exp(uniform(-0.7, 0.7)))
            for _ in range(count)
        )

    return Degradation(
        shift=(
            round(uniform(-config.shift, config.shift)),
            round(uniform(-config.shift, config.shift)),
        ),
        spread=round(uniform(-config.spread, config.spread)),
        blur=uniform(0, config.blur),
        cell=math.exp(uniform(0, math.log(config.cell))),
        holes=parts(config.holes),
        islands=parts(config.islands),
        noise=uniform(0, config.noise),
        noise_seed=int(uniform(0, 2**31)),
        steepness=uniform(*config.steepness),
    )


def coarse_scores(mask: Tensor, degradation: Degradation) -> Tensor:
    """Degrade a mask to coarse scores: parts, spread, shift, blur, then logits of cells.

    Args:
        mask: (H, W), true inside the object.
        degradation: the numbers that were drawn.

    Returns:
        (H, W) float32 in (0, 1).
    """
    height, width = mask.shape
    x = _spread(_change_parts(mask.bool(), degradation)[None, None].float(), degradation.spread)
    x = _blur(_shift(x, degradation.shift), degradation.blur)
    grid = [max(1, round(side / degradation.cell)) for side in (height, width)]
    inside = functional.interpolate(x, grid, mode="area")
    logits = degradation.steepness * (2 * inside - 1)
    if degradation.noise:
        generator = Generator().manual_seed(degradation.noise_seed)
        logits += degradation.noise * torch.randn(logits.shape, generator=generator)
    full = functional.interpolate(logits, (height, width), mode="bilinear", align_corners=False)
    return full[0, 0].sigmoid()


def _change_parts(mask: Tensor, degradation: Degradation) -> Tensor:
    """Remove the holes from the object and add the islands."""
    area = int(mask.sum())
    if area == 0:
        return mask
    radius = math.sqrt(area / math.pi)
    lost, added = torch.zeros_like(mask), torch.zeros_like(mask)
    for parts, where, target in (
        (degradation.holes, mask, lost),
        (degradation.islands, ~mask, added),
    ):
        pixels = where.nonzero()
        for part in parts if len(pixels) else ():
            row, column = pixels[int(part.place * (len(pixels) - 1))].tolist()
            target |= _ellipse(mask.shape, (row, column), part, radius)
    return (mask & ~lost) | (added & ~mask)


def _ellipse(size: torch.Size, centre: tuple[int, int], part: Part, radius: float) -> Tensor:
    rows = (torch.arange(size[0]) - centre[0]) / (part.radius * radius * math.sqrt(part.stretch))
    columns = (torch.arange(size[1]) - centre[1]) * math.sqrt(part.stretch)
    columns = columns / (part.radius * radius)
    return rows[:, None].square() + columns.square() <= 1


def _spread(x: Tensor, radius: int) -> Tensor:
    """Dilate (1, 1, H, W), or erode it where ``radius`` is negative."""
    sign = 1 if radius > 0 else -1
    size = 2 * abs(radius) + 1
    return sign * functional.max_pool2d(sign * x, size, stride=1, padding=abs(radius))


def _shift(x: Tensor, shift: tuple[int, int]) -> Tensor:
    """Move the content; the border is repeated where nothing moves in."""
    right, down = shift
    pads = (max(right, 0), max(-right, 0), max(down, 0), max(-down, 0))
    padded = functional.pad(x, pads, mode="replicate")
    top, left = max(-down, 0), max(-right, 0)
    return padded[..., top : top + x.shape[-2], left : left + x.shape[-1]]


def _blur(x: Tensor, sigma: float) -> Tensor:
    reach = math.ceil(3 * sigma)
    if reach == 0:
        return x
    taps = torch.exp(-(torch.arange(-reach, reach + 1) / sigma).square() / 2)
    taps = taps / taps.sum()
    padded = functional.pad(x, (reach,) * 4, mode="replicate")
    rows = functional.conv2d(padded, taps.view(1, 1, -1, 1))
    return functional.conv2d(rows, taps.view(1, 1, 1, -1))
