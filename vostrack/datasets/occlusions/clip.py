"""Clips with known occlusions: actors on paths in front of sheets, rendered frame by frame."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from vostrack.arrays import DoubleArray, FloatArray, UInt8Array

__all__ = ["Actor", "Judged", "OcclusionClip", "Shot"]

# The camera sways by this many pixels, once in so many frames.
_SWAY, _PERIOD = 4.0, 80.0
# Standard deviation of the camera's noise, gray levels.
_NOISE = 2.5


@dataclass(frozen=True)
class Actor:
    """A thing that moves through a clip.

    Attributes:
        pixels: (h, w, 4) uint8 RGBA, colours multiplied by alpha.
        number: its id; 0 for what only hides others.
        places: (T, 2) x and y of its centre, pixels; NaN where it is not in the shot.
        scales: (T,) pixels of the frame per pixel of it.
        angles: (T,) radians.
    """

    pixels: UInt8Array
    number: int
    places: DoubleArray
    scales: DoubleArray
    angles: DoubleArray


@dataclass(frozen=True)
class Shot:
    """A background from a frame on.

    Attributes:
        start: index of its first frame.
        sheet: (H', W', 3) uint8 RGB, larger than the frame by ``OcclusionClip.margin`` on each
            side.
    """

    start: int
    sheet: UInt8Array


@dataclass(frozen=True)
class Judged:
    """An object that came back: its identity is judged in one frame.

    Attributes:
        number: its id.
        frame: index of the frame in which it is judged.
        away: for how many frames it was out of sight before.
    """

    number: int
    frame: int
    away: int


@dataclass(frozen=True)
class OcclusionClip:
    """A clip with its true masks.

    Attributes:
        name: of the clip.
        kind: what happens; one of ``OCCLUSION_KINDS``.
        size: H and W.
        shots: in order; the first starts at 0.
        actors: far to near.
        starts: the frame in which each object is given, by id.
        judged: what to judge.
        seed: of the noise.
    """

    name: str
    kind: str
    size: tuple[int, int]
    shots: tuple[Shot, ...]
    actors: tuple[Actor, ...]
    starts: dict[int, int]
    judged: tuple[Judged, ...]
    seed: int

    margin = math.ceil(_SWAY) + 2

    def __len__(self) -> int:
        """Return T."""
        return len(self.actors[0].places)

    def __iter__(self) -> Iterator[tuple[UInt8Array, UInt8Array]]:
        """Render all frames in order."""
        return (self.render(index) for index in range(len(self)))

    def render(self, index: int) -> tuple[UInt8Array, UInt8Array]:
        """Render one frame.

        Args:
            index: 0..T-1.

        Returns:
            The frame (H, W, 3) uint8 RGB and its labels (H, W) uint8: 0 background, else the id of
            the nearest object that covers at least half of the pixel.
        """
        height, width = self.size
        phase = 2 * math.pi * index / _PERIOD
        sway = np.array([_SWAY * math.sin(phase), 0.5 * _SWAY * math.sin(2 * phase)])
        sheet = next(shot.sheet for shot in reversed(self.shots) if shot.start <= index)
        move = np.array([[1, 0, sway[0] - self.margin], [0, 1, sway[1] - self.margin]])
        frame = cv2.warpAffine(
            sheet, move, (width, height), borderMode=cv2.BORDER_REFLECT_101
        ).astype(np.float32)
        labels = np.zeros(self.size, np.uint8)
        for actor in self.actors:
            if np.isfinite(actor.places[index]).all():
                _paste(frame, labels, actor, index, sway)
        rng = np.random.default_rng([self.seed, index])
        frame += _NOISE * rng.standard_normal(frame.shape, dtype=np.float32)
        return np.rint(frame).clip(0, 255).astype(np.uint8), labels


def _paste(
    frame: FloatArray, labels: UInt8Array, actor: Actor, index: int, sway: DoubleArray
) -> None:
    """Draw an actor over a frame and its labels, in place."""
    height, width = actor.pixels.shape[:2]
    scale, angle = actor.scales[index], actor.angles[index]
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    matrix = np.array([[cos, -sin, 0.0], [sin, cos, 0.0]])
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    matrix[:, 2] = actor.places[index] + sway - 0.5 - matrix[:, :2] @ centre
    drawn = cv2.warpAffine(
        actor.pixels, matrix, (frame.shape[1], frame.shape[0]), flags=cv2.INTER_LINEAR
    )
    alpha = drawn[..., 3:].astype(np.float32) / 255
    frame *= 1 - alpha
    frame += drawn[..., :3]
    labels[drawn[..., 3] >= 128] = actor.number
