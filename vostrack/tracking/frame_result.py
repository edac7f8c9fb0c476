"""The tracking result of one frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import Any, Protocol, cast

import cv2
import numpy as np
from PIL import Image

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.masks.palette import davis_palette
from vostrack.tracking.object_history import ObjectState

__all__ = ["FrameResult", "on_demand"]

# Pixels on each side of an outline, and the scores between which a pixel is unsure.
_BAND = 5
_UNSURE = (0.25, 0.75)
_Box = tuple[int, int, int, int]


class Maps(Protocol):
    """Scores that are computed when somebody asks for them."""

    def numpy(self) -> FloatArray:
        """Return the scores (N, H, W) float32."""
        ...


def on_demand(maps: Maps) -> FloatArray:
    """Return scores for a ``FrameResult`` that are computed when they are first read."""
    return cast(FloatArray, maps)


@dataclass(frozen=True, eq=False)
class FrameResult:
    """The tracking result of one frame. All that belongs to objects is in the order of ``ids``.

    A result equals itself only; compare ``labels`` or ``scores`` of two.

    Attributes:
        labels: (H, W) uint8 at the frame's size; 0 background, else the object id.
        scores: (N, H, W) float32 in [0, 1] at the frame's size, computed when they are first read.
        ids: the N object ids, as in the first mask.
        presence: for each object, the probability that it is visible, in [0, 1]. If the adapter
            does not estimate presence, it is the mean score over the object's pixels, or 0 if the
            object has no pixels.
        timings: seconds spent, by name of the stage.
        velocities: x and y of each object in pixels per frame, smoothed over the last few frames.
            Of an object that is out of sight, those it had before.
        states: ``tracked``; ``shrunk``, visible with less than half of its usual area;
            ``occluded``, out of sight for at most 15 frames; ``lost``, for longer; ``found``, in
            sight again in this frame. In sight means that the presence is at least 0.5 and that the
            object has a pixel.
        skipped: names of the stages that were left out to keep within ``max_ms``.
        cut: whether a new shot begins with this frame, so that objects are searched everywhere.
        predicted: whether the frame was missing, and the masks are those of the last frame, moved
            by the objects' velocities.
    """

    labels: UInt8Array
    scores: FloatArray
    ids: tuple[int, ...]
    presence: tuple[float, ...]
    timings: Mapping[str, float]
    velocities: tuple[tuple[float, float], ...] = ()
    states: tuple[ObjectState, ...] = ()
    skipped: tuple[str, ...] = ()
    cut: bool = False
    predicted: bool = False

    @cached_property
    def boxes(self) -> tuple[_Box | None, ...]:
        """x0, y0, x1, y1 of each object in pixels, the end exclusive; None without a pixel."""
        return tuple(_box(self.labels == number) for number in self.ids)

    @cached_property
    def areas(self) -> tuple[int, ...]:
        """The number of pixels of each object."""
        counts = np.bincount(self.labels.ravel(), minlength=256)
        return tuple(int(counts[number]) for number in self.ids)

    @cached_property
    def centers(self) -> tuple[tuple[float, float] | None, ...]:
        """X and y of each object's center of mass in pixels; None without a pixel.

        The center of the pixel in the upper left corner is (0.5, 0.5).
        """
        found: list[tuple[float, float] | None] = []
        for number, box in zip(self.ids, self.boxes, strict=True):
            if box is None:
                found.append(None)
                continue
            x0, y0, x1, y1 = box
            rows, columns = np.nonzero(self.labels[y0:y1, x0:x1] == number)
            found.append((x0 + float(columns.mean()) + 0.5, y0 + float(rows.mean()) + 0.5))
        return tuple(found)

    @cached_property
    def uncertainty(self) -> tuple[float, ...]:
        """How unsure the outline of each object is, in [0, 1].

        It is the share of the pixels within 5 pixels of the outline whose score lies between 0.25
        and 0.75; 1 for an object without a pixel.
        """
        pairs = zip(self.ids, self.scores, self.boxes, strict=True)
        return tuple(self._unsure(number, score, box) for number, score, box in pairs)

    def _unsure(self, number: int, score: FloatArray, box: _Box | None) -> float:
        if box is None:
            return 1.0
        margin = _BAND + 1
        part = np.s_[
            max(0, box[1] - margin) : box[3] + margin, max(0, box[0] - margin) : box[2] + margin
        ]
        mask = (self.labels[part] == number).astype(np.uint8)
        kernel = np.ones((2 * _BAND + 1, 2 * _BAND + 1), np.uint8)
        band = (cv2.dilate(mask, kernel) > 0) & (cv2.erode(mask, kernel) == 0)
        values = score[part][band]
        if not len(values):  # the object fills the frame
            return 0.0
        return float(((values > _UNSURE[0]) & (values < _UNSURE[1])).mean())

    def __getattribute__(self, name: str) -> Any:
        """Compute the scores when they are first read."""
        value = super().__getattribute__(name)
        if name == "scores" and not isinstance(value, np.ndarray):
            value = value.numpy()
            object.__setattr__(self, "scores", value)
        return value

    def _repr_png_(self) -> bytes:
        """Return the label map as a palette PNG; notebooks show it."""
        image = Image.fromarray(self.labels)
        image.putpalette(davis_palette().tobytes())
        file = BytesIO()
        image.save(file, format="PNG")
        return file.getvalue()


def _box(mask: np.ndarray) -> _Box | None:
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return (x, y, x + width, y + height) if width else None
