"""The window of a frame that the network sees: around the objects, with a bounded pixel count."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vostrack.compute.plane_scaling import scaled
from vostrack.errors import InputError
from vostrack.models.byte_convolution import image_bytes
from vostrack.models.regions import Regions

__all__ = [
    "Box",
    "Window",
    "WindowConfig",
    "choose_regions",
    "choose_shared_window",
    "choose_window",
    "mask_box",
    "union_box",
]

# x0, y0, x1, y1 in pixels, the end exclusive.
Box = tuple[int, int, int, int]

_CELL = 16
# Cutting costs copies: a region of nearly the whole window is not worth them.
_WORTH_CUTTING = 0.8


# Scaling leaves traces of void beside it, and of rounding everywhere.
_KNOWN = 0.999


@dataclass(frozen=True)
class WindowConfig:
    """How a window is placed around the objects.

    Attributes:
        pixels: maximum number of pixels of the scaled window. The time of the backbone is
            proportional to it.
        grow: sides of the window as a multiple of the box around the objects.
        margin: total margin added to each side of the window, in pixels of the frame.
        smallest: minimum side, in pixels of the frame.
        magnify: maximum factor by which small windows are scaled up.
        crowd: a window around several objects may have up to this multiple of ``pixels``, if one
            of the objects would be seen at a higher resolution in a window of its own.
        step: rows and columns of the scaled window are multiples of this number, which is a
            multiple of 16. Libraries prepare their kernels for each new shape, so a small number
            of shapes is faster.
    """

    pixels: int = 320 * 320
    grow: float = 1.9
    margin: int = 40
    smallest: int = 120
    magnify: float = 1.5
    crowd: float = 1.0
    step: int = 32

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: a number is out of its range.
        """
        if self.pixels < 4 * _CELL**2:
            raise InputError(f"pixels: expected at least {4 * _CELL**2}, got {self.pixels}")
        if self.crowd < 1:
            raise InputError(f"crowd: expected at least 1, got {self.crowd}")
        if self.grow < 1 or self.margin < 0 or self.smallest < 1 or self.magnify <= 0:
            raise InputError(f"window: a number is out of its range in {self}")
        if self.step < _CELL or self.step % _CELL:
            raise InputError(f"step: expected a multiple of {_CELL}, got {self.step}")


@dataclass(frozen=True)
class Window:
    """A rectangle of a frame, and the size it is scaled to.

    Attributes:
        box: in the frame.
        size: rows and columns of the scaled window, multiples of 16.
    """

    box: Box
    size: tuple[int, int]

    def scaled(self, scale: float, step: int) -> Window:
        """Return the same rectangle at ``scale`` times the size, in multiples of ``step``."""
        rows, columns = (max(2 * _CELL, round(side * scale / step) * step) for side in self.size)
        return Window(self.box, (rows, columns))

    def crop(self, maps: Tensor, *, antialias: bool = True) -> Tensor:
        """Cut maps (B, C, H, W) of the frame and scale them: (B, C, h, w).

        Args:
            maps: of the frame.
            antialias: average when the window is scaled down. Maps without fine detail, such as
                upsampled scores, do not need it, which takes a quarter of the time.
        """
        x0, y0, x1, y1 = self.box
        part = maps[..., y0:y1, x0:x1]
        if tuple(part.shape[-2:]) == self.size:
            return part
        if not antialias:
            return scaled(part, self.size)
        return F.interpolate(
            part, size=self.size, mode="bilinear", align_corners=False, antialias=True
        )

    def known(self, void: Tensor | None) -> Tensor | None:
        """Return where ``void`` (h, w), bool in the frame, touches no pixel of the window.

        Returns:
            (1, 1, h, w), 1 or 0; None for None.
        """
        return None if void is None else (self.crop((~void).float()[None, None]) > _KNOWN).float()

    def crop_bytes(self, image: Tensor) -> Tensor:
        """Cut an image (B, 3, H, W) in [0, 1] and scale it, in bytes: (B, 3, h, w) uint8.

        Averaging bytes takes a fraction of the time, and a video's frames are bytes anyway.
        """
        x0, y0, x1, y1 = self.box
        part = image_bytes(image[..., y0:y1, x0:x1])
        if tuple(part.shape[-2:]) == self.size:
            return part
        return F.interpolate(
            part, size=self.size, mode="bilinear", align_corners=False, antialias=True
        )

    def spread(self, maps: Tensor) -> Tensor:
        """Scale maps (B, C, h, w), coarser than the frame, to the window's box in the frame."""
        x0, y0, x1, y1 = self.box
        return scaled(maps, (y1 - y0, x1 - x0))

    def paste(self, maps: Tensor, frame: Sequence[int]) -> Tensor:
        """Put maps (B, C, h, w) of the box's size into frames (B, C, H, W) of zeros."""
        x0, y0, x1, y1 = self.box
        height, width = frame
        return F.pad(maps, (x0, width - x1, y0, height - y1))

    def shares(self, frame: Sequence[int]) -> tuple[float, float, float, float]:
        """Return the box as shares of a frame of ``frame`` = H and W."""
        x0, y0, x1, y1 = self.box
        height, width = frame
        return x0 / width, y0 / height, x1 / width, y1 / height

    def positions(self, device: torch.device) -> Tensor:
        """Return x and y of the centres of the cells of stride 16, frame pixels: (1, 2, h, w)."""
        x0, y0, x1, y1 = self.box
        rows, columns = (side // _CELL for side in self.size)
        y = y0 + (torch.arange(rows, device=device) + 0.5) * (y1 - y0) / rows
        x = x0 + (torch.arange(columns, device=device) + 0.5) * (x1 - x0) / columns
        grid = torch.meshgrid(y, x, indexing="ij")
        return torch.stack([grid[1], grid[0]])[None]


def mask_box(mask: Tensor) -> Box | None:
    """Return the box of a mask (H, W) bool, None where it is empty."""
    # Bytes are reduced ten times faster than truth values.
    filled = mask.view(torch.uint8)
    rows, columns = filled.amax(1).nonzero(), filled.amax(0).nonzero()
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def union_box(boxes: Sequence[Box]) -> Box | None:
    """Return the box around all of some boxes, None for none."""
    if not boxes:
        return None
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def choose_window(box: Box | None, frame: Sequence[int], config: WindowConfig) -> Window:
    """Lay a window around a box, inside the frame.

    Args:
        box: of the object; None for the whole frame.
        frame: H and W.
        config: how.
    """
    box = _widened(box, frame, config)
    return _scaled(box, _scale(box, config.pixels, config), config)


def choose_shared_window(
    boxes: Sequence[Box], frame: Sequence[int], config: WindowConfig
) -> Window:
    """Lay a window around several boxes, inside the frame.

    Args:
        boxes: of the objects; none for the whole frame.
        frame: H and W.
        config: how.
    """
    whole = _widened(union_box(boxes), frame, config)
    scale = _scale(whole, config.pixels, config)
    if config.crowd > 1 and len(boxes) > 1:
        own = max(_scale(_widened(box, frame, config), config.pixels, config) for box in boxes)
        pixels = config.pixels * min(config.crowd, len(boxes))
        scale = max(scale, min(own, _scale(whole, pixels, config)))
    return _scaled(whole, scale, config)


def _widened(box: Box | None, frame: Sequence[int], config: WindowConfig) -> Box:
    """Return the part of the frame to look at for a box."""
    height, width = frame
    if box is None:
        return 0, 0, width, height
    x0, y0, x1, y1 = box
    mean = (x1 - x0 + y1 - y0) / 2
    left, right = _side(x0, x1, mean, width, config)
    top, bottom = _side(y0, y1, mean, height, config)
    return left, top, right, bottom


def _scale(box: Box, pixels: float, config: WindowConfig) -> float:
    area = (box[2] - box[0]) * (box[3] - box[1])
    return min(math.sqrt(pixels / area), config.magnify)


def _scaled(box: Box, scale: float, config: WindowConfig) -> Window:
    left, top, right, bottom = box
    size = tuple(
        max(2 * _CELL, round(side * scale / config.step) * config.step)
        for side in (bottom - top, right - left)
    )
    return Window(box, (size[0], size[1]))


def choose_regions(
    window: Window, boxes: Sequence[Box], frame: Sequence[int], config: WindowConfig
) -> Regions | None:
    """Choose the part of a shared window for each object: the window it would have alone.

    Args:
        window: around all of the objects.
        boxes: of the objects.
        frame: H and W.
        config: how windows are laid.

    Returns:
        Rectangles of one size, that of the largest; None where they would be the whole window.
    """
    left, top, right, bottom = window.box
    rows, columns = (side // _CELL for side in window.size)
    spans = []
    for box in boxes:
        x0, y0, x1, y1 = choose_window(box, frame, config).box
        spans.append(
            (
                _cells(y0 - top, y1 - top, rows / (bottom - top), rows),
                _cells(x0 - left, x1 - left, columns / (right - left), columns),
            )
        )
    height, width = (max(stop - start for start, stop in axis) for axis in zip(*spans, strict=True))
    # Multiples of 4 cells: few shapes are faster.
    height, width = min(rows, height + -height % 4), min(columns, width + -width % 4)
    if height * width > _WORTH_CUTTING * rows * columns:
        return None
    corners = tuple((min(y[0], rows - height), min(x[0], columns - width)) for y, x in spans)
    return Regions(corners, (height, width))


def _cells(start: float, stop: float, per_pixel: float, limit: int) -> tuple[int, int]:
    """Return the first cell and the one after the last, of a span in pixels."""
    return max(0, math.floor(start * per_pixel)), min(limit, math.ceil(stop * per_pixel))


def _side(start: int, stop: int, mean: float, limit: int, config: WindowConfig) -> tuple[int, int]:
    """Return the window's extent along one axis; half of what is added goes with the other axis."""
    length = stop - start
    wanted = length + (config.grow - 1) * (length + mean) / 2 + config.margin
    wanted = max(wanted, config.smallest)
    centre = (start + stop) / 2
    low, high = max(0, centre - wanted / 2), min(limit, centre + wanted / 2)
    return int(low), math.ceil(high)
