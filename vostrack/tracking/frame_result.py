"""The tracking result of one frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Protocol, cast

import numpy as np
from PIL import Image

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.masks.palette import davis_palette

__all__ = ["FrameResult"]


class Maps(Protocol):
    """Scores that are computed when somebody asks for them."""

    def numpy(self) -> FloatArray:
        """Return the scores (N, H, W) float32."""
        ...


@dataclass(frozen=True)
class FrameResult:
    """The tracking result of one frame.

    Attributes:
        labels: (H, W) uint8 at the frame's size; 0 background, else the object id.
        scores: (N, H, W) float32 in [0, 1] at the frame's size, in the order of ``ids``. They are
            computed when they are first read.
        ids: the N object ids, as in the first mask.
        presence: for each object, the probability that it is visible, in [0, 1]. If the adapter
            does not estimate presence, it is the mean score over the object's pixels, or 0 if the
            object has no pixels.
        timings: seconds spent, by name of the stage.
    """

    labels: UInt8Array
    scores: FloatArray
    ids: tuple[int, ...]
    presence: tuple[float, ...]
    timings: Mapping[str, float]

    @staticmethod
    def on_demand(
        labels: UInt8Array,
        maps: Maps,
        ids: tuple[int, ...],
        presence: tuple[float, ...],
        timings: Mapping[str, float],
    ) -> FrameResult:
        """Return a result whose scores are computed from ``maps`` when they are first read."""
        return FrameResult(labels, cast(FloatArray, maps), ids, presence, timings)

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
