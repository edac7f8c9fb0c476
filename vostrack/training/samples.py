"""Frames of a dataset as training images, read when they are needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import overload

from vostrack.checks import demand_some
from vostrack.datasets import VideoSequence
from vostrack.datasets.annotated_frames import AnnotatedFrame, annotated_frames, merge_objects
from vostrack.training.foreground import Sample

__all__ = ["ForegroundSamples"]


class ForegroundSamples(Sequence[Sample]):
    """Every annotated frame: image (3, H, W) uint8, labels (H, W) int64 of 0, 1 and 255."""

    def __init__(self, sequences: Iterable[VideoSequence]) -> None:
        """List the frames; nothing is read.

        Raises:
            InputError: no frame is annotated.
        """
        self._frames = annotated_frames(sequences)
        demand_some(self._frames, "annotated frame")

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._frames)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        """Read one frame, or several."""
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        frame = self._frames[index].read()
        return AnnotatedFrame(frame.image, merge_objects(frame.labels)).tensors()
