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
    """Compute the cross-entropy, with each pixel weighted by 1 - frequency of its class.

    For two classes this is eq. 1 of Cheng et al. (2017), where w is the fraction of foreground
    among the labelled pixels: foreground pixels have weight 1 - w and background pixels w. The
    paper sums over pixels. Here the sum is divided by the number of labelled pixels, so that the
    learning rate does not depend on the resolution. With more classes, a pixel of class c has
    weight 1 - frequency(c).

    Args:
        logits: (B, K, H, W), K classes, background first.
        target: (B, H, W) int64 in 0..K-1, or 255 for pixels to ignore.
        share_limits: each class frequency is clamped to this range, within [0, 1]. This keeps some
            weight for the background of a tiny object and for a huge object.

    Returns:
        The mean over samples, a scalar. A sample contributes 0 if it has no labelled pixels or,
        with the default limits, only one class.
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
