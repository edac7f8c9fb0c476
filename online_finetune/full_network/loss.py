"""The class-balanced cross-entropy of Cheng et al. (2017), eq. 1."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vostrack.datasets.augmentation import IGNORE

__all__ = ["balanced_cross_entropy"]


def balanced_cross_entropy(
    logits: Tensor, target: Tensor, *, share_limits: tuple[float, float] = (0.0, 1.0)
) -> Tensor:
    """Weigh every pixel by the share of the pixels that are *not* of its class, and average.

    For two classes this is eq. 1 of Cheng et al. (2017) with w the share of the foreground among
    the labelled pixels: foreground pixels weigh 1 - w, background pixels w. The paper sums over
    pixels; here the sum is divided by the number of labelled pixels, so that the learning rate
    does not depend on the resolution. With more classes a pixel of class c weighs 1 - share(c).

    Args:
        logits: (B, K, H, W), K classes, background first.
        target: (B, H, W) int64 in 0..K-1, or 255 where the pixel does not count.
        share_limits: each class share is clamped to this range before it becomes a weight, so
            that neither a tiny object's background nor a huge object loses all weight.

    Returns:
        The mean over samples, a scalar; 0 for a sample without labelled pixels or, with the
        default limits, with a single class.
    """
    classes = logits.shape[1]
    counted = target != IGNORE
    one_hot = F.one_hot(target.masked_fill(~counted, 0), classes) * counted.unsqueeze(-1)
    counts = one_hot.sum(dim=(1, 2)).float()
    total = counts.sum(dim=1, keepdim=True).clamp(min=1)
    weight = 1 - (counts / total).clamp(*share_limits)
    nll = F.cross_entropy(logits, target, ignore_index=IGNORE, reduction="none")
    pixel_weight = torch.einsum("bhwk,bk->bhw", one_hot.float(), weight)
    return ((nll * pixel_weight).sum(dim=(1, 2)) / total[:, 0]).mean()
