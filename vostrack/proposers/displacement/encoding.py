"""Label maps as the three input channels of a network."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from vostrack.masks.palette import VOID, davis_palette
from vostrack.models.backbones import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["Encoding", "encode_labels", "encoding_table"]

Encoding = Literal["palette", "phase"]

# Consecutive ids are as far apart on the circle as they can be.
_GOLDEN = (math.sqrt(5) - 1) / 2


def encoding_table(encoding: Encoding) -> Tensor:
    """Compute the code of every label.

    Args:
        encoding: ``palette``: the colours of the VOC palette, normalised like ImageNet images, for
            backbones that were trained on such; void looks like background. ``phase``: 1 for any
            object, 0 for background and -1 for void, and the class as cosine and sine of an angle.

    Returns:
        (256, 3) float32.
    """
    if encoding == "palette":
        colours = torch.from_numpy(davis_palette().astype(np.float32) / 255)
        table = (colours - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)
    else:
        angle = 2 * math.pi * ((torch.arange(256) * _GOLDEN) % 1)
        table = torch.stack([torch.ones(256), angle.cos(), angle.sin()], dim=1)
        table[0] = 0
    table[VOID] = table[0]
    if encoding == "phase":
        table[VOID, 0] = -1
    return table


def encode_labels(labels: Tensor, table: Tensor) -> Tensor:
    """Replace every label by its code.

    Args:
        labels: (B, H, W) integers in 0..255.
        table: (256, 3).

    Returns:
        (B, 3, H, W).
    """
    return table[labels.long()].permute(0, 3, 1, 2).contiguous()
