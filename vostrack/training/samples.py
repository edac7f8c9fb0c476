"""Frames of a dataset as training pictures, read when they are needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

import numpy as np
import torch
from PIL import Image

from vostrack.datasets import VideoSequence
from vostrack.datasets.augmentation import IGNORE
from vostrack.errors import InputError
from vostrack.training.foreground import Sample

__all__ = ["ForegroundSamples"]


class ForegroundSamples(Sequence[Sample]):
    """Every annotated frame: image (3, H, W) uint8, labels (H, W) int64 of 0, 1 and 255."""

    def __init__(self, sequences: Iterable[VideoSequence]) -> None:
        """List the frames; nothing is read.

        Raises:
            InputError: no frame is annotated.
        """
        self._items: list[tuple[Path, Path, bool]] = []
        for sequence in sequences:
            for frame, annotation in zip(sequence.frames, sequence.annotations, strict=True):
                if annotation is not None:
                    self._items.append((frame, annotation, sequence.semantics == "ids"))
        if not self._items:
            raise InputError("training: none of the sequences has an annotated frame")

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        """Read one picture, or several."""
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        frame, annotation, with_void = self._items[index]
        with Image.open(frame) as image:
            pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
        with Image.open(annotation) as image:
            values = np.array(image)
        labels = (values > 0).astype(np.int64)
        if with_void:
            labels[values == IGNORE] = IGNORE
        return pixels.contiguous(), torch.from_numpy(labels)
