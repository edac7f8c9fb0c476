"""Frames of a dataset as training images, read when they are needed."""

from __future__ import annotations

from collections.abc import Sequence

from vostrack.checks import check_not_empty
from vostrack.datasets import VideoSequence
from vostrack.datasets.annotated_frames import AnnotatedFrame, merge_objects, training_frames
from vostrack.datasets.composites.matted_photos import MattedPhoto, annotated_photo
from vostrack.datasets.read_on_demand import ReadOnDemand
from vostrack.training.foreground import Sample

__all__ = ["ForegroundSamples", "PhotoSamples"]


class ForegroundSamples(ReadOnDemand[Sample]):
    """Every annotated frame: image (3, H, W) uint8, labels (H, W) int64 of 0, 1 and 255."""

    def __init__(self, sequences: Sequence[VideoSequence]) -> None:
        """List the frames; see ``training_frames``.

        Raises:
            InputError: no frame is annotated, or none shows an object.
        """
        self._frames = training_frames(sequences)

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._frames)

    def read(self, index: int) -> Sample:
        """Read one frame with its objects merged into the foreground."""
        frame = self._frames[index].read()
        return AnnotatedFrame(frame.image, merge_objects(frame.labels)).tensors()


class PhotoSamples(ReadOnDemand[Sample]):
    """Photographs with mattes: image (3, H, W) uint8, labels (H, W) int64, 1 from alpha 0.5 on."""

    def __init__(self, photos: Sequence[MattedPhoto]) -> None:
        """Take the list; nothing is read.

        Raises:
            InputError: it is empty.
        """
        check_not_empty(photos, "photograph")
        self._photos = tuple(photos)

    def __len__(self) -> int:
        """Return the number of photographs."""
        return len(self._photos)

    def read(self, index: int) -> Sample:
        """Read one photograph and its matte."""
        return annotated_photo(self._photos[index]).tensors()
