"""Fusing score maps into a label map: foreground gating, then the best object per pixel."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vostrack.arrays import FloatArray, UInt8Array

__all__ = ["allowed_region", "gate", "label_map", "mean_scores"]


def gate(
    scores: Tensor, foreground: Tensor, *, threshold: float = 0.5, dilation: int = 0
) -> Tensor:
    """Set scores to zero outside the foreground (Cheng et al. 2017, section 3.2).

    Args:
        scores: (N, H, W) in [0, 1].
        foreground: (H, W) probability in [0, 1].
        threshold: pixels with at least this probability are foreground.
        dilation: the foreground is first dilated by this many pixels to each side, so that the
            hard mask does not cut off edges that are refined later.

    Returns:
        The gated scores (N, H, W).
    """
    return scores * allowed_region(foreground, threshold=threshold, dilation=dilation)


def allowed_region(foreground: Tensor, *, threshold: float = 0.5, dilation: int = 0) -> Tensor:
    """Return the dilated foreground as a mask (H, W) bool; see ``gate`` for the arguments."""
    mask = (foreground >= threshold).float()[None, None]
    if dilation:
        side = 2 * dilation + 1
        mask = F.max_pool2d(mask, (side, 1), stride=1, padding=(dilation, 0))
        mask = F.max_pool2d(mask, (1, side), stride=1, padding=(0, dilation))
    return mask[0, 0] > 0


def label_map(scores: Tensor, *, threshold: float = 0.5) -> Tensor:
    """Label each pixel with the object of the highest score.

    Args:
        scores: (N, H, W) in [0, 1].
        threshold: pixels whose best score is below this value are background (Cheng et al. 2017,
            section 5.2).

    Returns:
        (H, W) uint8; 0 background, 1..N slots. The lower slot wins between equal scores.
    """
    count = len(scores)
    if scores.device.type == "cpu" and scores.dtype == torch.float32:
        return torch.from_numpy(_label_map(scores.detach().numpy(), threshold))
    if count == 1:
        return (scores[0] >= threshold).to(torch.uint8)
    best = scores.amax(dim=0)
    # argmax may return any of several maxima. Here the first one has the largest number.
    # Working on bytes, without indices, takes a quarter of the time.
    numbers = torch.arange(count, 0, -1, dtype=torch.uint8, device=scores.device)
    first = ((scores == best).view(torch.uint8) * numbers[:, None, None]).amax(dim=0)
    return (count + 1 - first) * (best >= threshold).view(torch.uint8)


def _label_map(scores: FloatArray, threshold: float) -> UInt8Array:
    """Do the same with numpy, only in the box in which an object's score is high enough."""
    labels: UInt8Array
    if len(scores) == 1:
        labels = (scores[0] >= threshold).view(np.uint8)
        return labels
    labels = np.zeros(scores.shape[1:], np.uint8)
    best = np.full(labels.shape, -np.inf, np.float32)
    for number, score in enumerate(scores, start=1):
        high = score >= threshold
        left, top, width, height = cv2.boundingRect(high.view(np.uint8))
        box = slice(top, top + height), slice(left, left + width)
        own, before = score[box], best[box]
        np.copyto(labels[box], np.uint8(number), where=high[box] & (own > before))
        np.maximum(own, before, out=before)
    return labels


def mean_scores(scores: Tensor, slots: Tensor) -> tuple[float, ...]:
    """Return the mean score of each object over the pixels that it won, 0 where it won none.

    The device is waited for once, whatever the number of objects.

    Args:
        scores: (N, H, W) in [0, 1].
        slots: (H, W) uint8; 0 background, 1..N slots.
    """
    numbers = torch.arange(1, len(scores) + 1, dtype=slots.dtype, device=slots.device)
    won = slots == numbers[:, None, None]
    pixels = won.sum((1, 2))
    sums = (scores * won).sum((1, 2), dtype=torch.float64)
    means: list[float] = (sums / pixels.clamp(min=1)).tolist()
    return tuple(means)
