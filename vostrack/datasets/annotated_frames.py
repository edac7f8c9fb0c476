"""Images with masks: the one way to list and to read the annotated frames of videos."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.checks import check_not_empty
from vostrack.datasets.sample_checks import check_each, check_same_size, whole_size
from vostrack.datasets.video_sequence import Semantics, VideoSequence
from vostrack.errors import InputError
from vostrack.masks.palette import VOID, read_label_map
from vostrack.video.images import read_image

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "AnnotatedFrame",
    "FrameFiles",
    "annotated_frames",
    "check_objects",
    "image_tensor",
    "merge_objects",
    "read_annotated_frame",
    "read_annotation",
    "training_frames",
]


@dataclass(frozen=True)
class AnnotatedFrame:
    """One image and the labels of its pixels.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8: 0 background, object ids from 1, 255 void.
    """

    image: UInt8Array
    labels: UInt8Array

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Return the image (3, H, W) uint8 and the labels (H, W) int64, as copies."""
        import torch

        return image_tensor(self.image), torch.from_numpy(self.labels.astype(np.int64))


@dataclass(frozen=True)
class FrameFiles:
    """Where one annotated frame lies; nothing is read before ``read`` is called.

    Attributes:
        image: the image file.
        annotation: the mask file.
        semantics: what the values of the mask mean; see ``read_annotation``.
    """

    image: Path
    annotation: Path
    semantics: Semantics

    def read(self) -> AnnotatedFrame:
        """Read both files; see ``read_annotated_frame``."""
        return read_annotated_frame(self.image, self.annotation, self.semantics)

    def read_labels(self) -> UInt8Array:
        """Read the mask alone; see ``read_annotation``."""
        return read_annotation(self.annotation, self.semantics)

    def check(self) -> None:
        """Check what reading would, from headers and ends of the files where these tell enough.

        Raises:
            InputError: as ``read``.
        """
        size = whole_size(self.image)
        if size is None or size != whole_size(self.annotation, mask=True):
            self.read()


def annotated_frames(sequences: Iterable[VideoSequence]) -> tuple[FrameFiles, ...]:
    """List the frames of videos that have a mask, in the order of the videos and their frames."""
    return tuple(
        FrameFiles(image, annotation, sequence.semantics)
        for sequence in sequences
        for image, annotation in zip(sequence.frames, sequence.annotations, strict=True)
        if annotation is not None
    )


def training_frames(sequences: Sequence[VideoSequence]) -> tuple[FrameFiles, ...]:
    """List the frames to train on; masks are read until one of them shows an object.

    Args:
        sequences: of one data set.

    Raises:
        InputError: no frame has a mask, a frame or mask is cut off or cannot be read, the two
            differ in size, or no mask shows an object.
    """
    frames = annotated_frames(sequences)
    check_not_empty(frames, "annotated frame")
    source = sequences[0].source or sequences[0].name
    # As data sets are named by ``open_davis``.
    year = source.startswith("DAVIS 2017")
    check_objects(
        (frame.read_labels() for frame in frames),
        source,
        "; use `year=2016` if they are those of DAVIS 2016" if year else "",
    )
    check_each(FrameFiles.check, frames)
    return frames


def check_objects(label_maps: Iterable[UInt8Array], source: str, remedy: str = "") -> None:
    """Check that there is something to learn from label maps, of which the first often tells.

    Args:
        label_maps: (H, W) uint8: 0 background, 255 void, all others ids or classes; read until one
            of them shows an object.
        source: where they come from, for the message.
        remedy: end of the message where masks hold 0 and 255 alone.

    Raises:
        InputError: all pixels of all of them are background or void.
    """
    void = False
    for labels in label_maps:
        if ((labels > 0) & (labels < VOID)).any():
            return
        void = void or bool((labels == VOID).any())
    if void:
        raise InputError(
            f"training: the masks of {source} hold no value but 0 and 255, which is void, so that "
            f"there is no object to learn; expected ids or classes from 1 on{remedy}"
        )
    raise InputError(
        f"training: no object in any mask of {source}; expected ids or classes from 1 on, got "
        "0, which is background, everywhere"
    )


def read_annotated_frame(
    image: str | os.PathLike[str],
    annotation: str | os.PathLike[str],
    semantics: Semantics = "ids",
) -> AnnotatedFrame:
    """Read an image and its mask.

    Args:
        image: an image file; see ``vostrack.video.images.read_image``.
        annotation: a palette or gray PNG.
        semantics: what the values of the mask mean; see ``read_annotation``.

    Raises:
        InputError: a file is missing or cannot be read, or the two differ in size.
    """
    pixels = read_image(Path(image))
    labels = read_annotation(annotation, semantics)
    check_same_size(annotation, labels.shape, image, pixels.shape[:2])
    return AnnotatedFrame(pixels, labels)


def read_annotation(path: str | os.PathLike[str], semantics: Semantics = "ids") -> UInt8Array:
    """Read the mask of a frame.

    Args:
        path: a palette or gray PNG.
        semantics: "ids" where a value is the id of an object and 255 is void; "binary" where every
            value over 0 belongs to the one object (DAVIS 2016).

    Returns:
        (H, W) uint8: 0 background, ids from 1, 255 void. A binary mask has neither void nor ids
        over 1.

    Raises:
        InputError: the file is missing or cannot be read as a label map.
    """
    values = read_label_map(path)
    return values if semantics == "ids" else (values > 0).astype(np.uint8)


def merge_objects(labels: UInt8Array) -> UInt8Array:
    """Return labels (H, W) with all objects as object 1; background and void stay."""
    return np.where(labels == VOID, VOID, labels > 0).astype(np.uint8)


def image_tensor(image: UInt8Array) -> Tensor:
    """Return an image (H, W, 3) as a contiguous tensor (3, H, W) of the same type, as a copy."""
    import torch

    return torch.from_numpy(np.array(image.transpose(2, 0, 1), order="C"))
