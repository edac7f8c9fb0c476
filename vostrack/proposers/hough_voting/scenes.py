"""Training scenes with several instances: objects cut out and pasted beside one another.

Videos with one annotated object each hold no example of the hard case: two touching objects of a
kind. Pasting makes such examples, from the same video as often as from another one, in front or
behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from vostrack.arrays import BoolArray, DoubleArray, UInt8Array
from vostrack.datasets import VideoSequence
from vostrack.datasets.annotated_frames import FrameFiles, annotated_frames, training_frames
from vostrack.datasets.synthetic import SceneRenderer, SyntheticScene, draw_scene
from vostrack.masks.palette import VOID

__all__ = ["Mixture", "PastedScenes", "SceneSource", "SyntheticScenes"]

# Image (S, S, 3) uint8 RGB, and instance ids (S, S) uint8: 0 background, 255 void.
Scene = tuple[UInt8Array, UInt8Array]

_MIN_PIXELS = 150


class SceneSource(Protocol):
    """Draws scenes: an image (S, S, 3) uint8 RGB, and instance ids (S, S) uint8, 255 void."""

    def draw(self, rng: np.random.Generator) -> Scene:
        """Draw one scene; the generator is the only source of chance."""
        ...


@dataclass(frozen=True)
class SyntheticScenes:
    """Single frames of synthetic clips with two to five objects.

    Attributes:
        size: side of the scenes, pixels.
        first_seed: of the scenes; scenes for evaluation need seeds that training never draws.
        seeds: how many different scenes there are.
    """

    size: int = 320
    first_seed: int = 0
    seeds: int = 100_000

    def draw(self, rng: np.random.Generator) -> Scene:
        """Draw one scene."""
        scene = SyntheticScene(
            size=(self.size, self.size),
            frames=21,
            objects=int(rng.integers(2, 6)),
            seed=self.first_seed + int(rng.integers(self.seeds)),
            object_size=float(rng.uniform(0.1, 0.28)),
        )
        return SceneRenderer(draw_scene(scene)).render(int(rng.integers(4, 17)))


class PastedScenes:
    """Frames of annotated videos, with up to three more of their objects pasted in.

    Args:
        sequences: the videos.
        size: side of the scenes, pixels.

    Raises:
        InputError: no frame is annotated, or none shows an object.
    """

    def __init__(self, sequences: Sequence[VideoSequence], size: int = 320) -> None:
        self.size = size
        training_frames(sequences)
        videos = (annotated_frames([sequence]) for sequence in sequences)
        self._videos = [frames for frames in videos if frames]

    def draw(self, rng: np.random.Generator) -> Scene:
        """Draw one scene."""
        video = self._videos[rng.integers(len(self._videos))]
        drawn = video[rng.integers(len(video))].read()
        frame, ids = drawn.image, drawn.labels
        extent = _extent((ids > 0) & (ids != VOID))
        reach = float(rng.uniform(0.15, 0.9)) * self.size
        place = rng.uniform(0.25, 0.75, 2) * self.size
        image, ids = _lay(frame, ids, extent, reach, place, self.size, bool(rng.random() < 0.5))
        image, ids = image.copy(), ids.copy()
        for _ in range(int(rng.choice(4, p=[0.15, 0.35, 0.3, 0.2]))):
            source = video if rng.random() < 0.5 else self._videos[rng.integers(len(self._videos))]
            self._paste(image, ids, source, rng)
        return image, _renumber(ids)

    def _paste(
        self,
        image: UInt8Array,
        ids: UInt8Array,
        video: Sequence[FrameFiles],
        rng: np.random.Generator,
    ) -> None:
        """Paste one more object, usually so that it touches one in the scene."""
        other = video[int(rng.integers(len(video)))].read()
        theirs = other.labels
        present = np.setdiff1d(np.unique(theirs), [0, VOID])
        if not len(present):
            return
        mask = (theirs == rng.choice(present)).astype(np.uint8)
        inside = (ids > 0) & (ids != VOID)
        x0, y0, x1, y1 = _extent(inside)
        reach = max(x1 - x0, y1 - y0) * float(rng.uniform(0.4, 1.2))
        reach = float(np.clip(reach, 40, self.size))
        middle = np.array([x0 + x1, y0 + y1]) / 2
        angle = rng.uniform(0, 2 * np.pi)
        away = rng.uniform(0.15, 0.5) * (np.array([x1 - x0, y1 - y0]) + reach)
        place = middle + away * [np.cos(angle), np.sin(angle)]
        if rng.random() < 0.2:
            place = rng.uniform(0, self.size, 2)
        flip = bool(rng.random() < 0.5)
        pasted, shape = _lay(other.image, mask, _extent(mask > 0), reach, place, self.size, flip)
        shape = (shape == 1).astype(np.uint8)
        if rng.random() < 0.4:
            shape[inside] = 0
        share = cv2.GaussianBlur(shape.astype(np.float32), (0, 0), 0.8)[..., None]
        image[:] = np.rint(share * pasted + (1 - share) * image).astype(np.uint8)
        ids[shape > 0] = ids[ids != VOID].max() + 1


@dataclass(frozen=True)
class Mixture:
    """Draws from one source or another.

    Attributes:
        sources: of scenes.
        shares: how often each source is drawn from, positive; they need not sum to 1.
    """

    sources: tuple[SceneSource, ...]
    shares: tuple[float, ...]

    def draw(self, rng: np.random.Generator) -> Scene:
        """Draw one scene."""
        shares = np.array(self.shares) / sum(self.shares)
        return self.sources[int(rng.choice(len(shares), p=shares))].draw(rng)


def _extent(mask: BoolArray) -> tuple[float, float, float, float]:
    """Return x0, y0, x1, y1 of the mask; the whole image where it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0.0, 0.0, float(mask.shape[1]), float(mask.shape[0])
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _lay(
    image: UInt8Array,
    ids: UInt8Array,
    extent: tuple[float, float, float, float],
    reach: float,
    place: DoubleArray,
    size: int,
    flip: bool,
) -> Scene:
    """Scale the extent's longer side to ``reach`` and lay its middle on ``place`` (x, y)."""
    x0, y0, x1, y1 = extent
    scale = reach / max(x1 - x0, y1 - y0, 1.0)
    across = -scale if flip else scale
    middle_x, middle_y = (x0 + x1) / 2, (y0 + y1) / 2
    matrix = np.array(
        [
            [across, 0, place[0] - across * middle_x],
            [0, scale, place[1] - scale * middle_y],
        ]
    )
    if scale < 0.5:
        # Bilinear sampling of a much larger image would skip pixels.
        image = np.asarray(cv2.blur(image, (round(1 / scale),) * 2), np.uint8)
    warped = cv2.warpAffine(
        image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    numbers = cv2.warpAffine(
        ids, matrix, (size, size), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT
    )
    return np.asarray(warped, np.uint8), np.asarray(numbers, np.uint8)


def _renumber(ids: UInt8Array) -> UInt8Array:
    """Number what is large enough 1, 2, ...; the rest is void."""
    table = np.zeros(256, np.uint8)
    counts = np.bincount(ids.ravel(), minlength=256)
    present = [k for k in range(1, VOID) if counts[k]]
    table[present] = VOID
    large = [k for k in present if counts[k] >= _MIN_PIXELS]
    table[large] = np.arange(1, len(large) + 1)
    table[VOID] = VOID
    return np.asarray(table[ids], np.uint8)
