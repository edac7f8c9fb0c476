"""The classes of an image's pixels, in which instances are found."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.masks.palette import VOID

__all__ = ["Segmentation", "from_foreground", "from_labels"]


class Segmentation(NamedTuple):
    """The classes of an image's pixels.

    Attributes:
        labels: (H, W) int64: 0 background, 255 void.
        probabilities: (L, H, W) in [0, 1].
    """

    labels: Tensor
    probabilities: Tensor


def from_labels(labels: UInt8Array, device: torch.device) -> Segmentation:
    """Take a class mask (H, W) as certain; 255 is void."""
    values = torch.from_numpy(labels.astype(np.int64)).to(device)
    known = torch.where(values == VOID, 0, values)
    return Segmentation(values, F.one_hot(known).permute(2, 0, 1).float())


def from_foreground(foreground: FloatArray, threshold: float, device: torch.device) -> Segmentation:
    """Take a foreground probability (H, W) as the only class."""
    probability = torch.from_numpy(np.ascontiguousarray(foreground, dtype=np.float32)).to(device)
    labels = (probability >= threshold).long()
    return Segmentation(labels, torch.stack([1 - probability, probability]))
