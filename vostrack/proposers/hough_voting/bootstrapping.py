"""Losses over the pixels that are still hard: online bootstrapping (Wu et al. 2016, section 2.2).

A pixel is easy when the network is already good at it: by the probability of the true class, or by
the overlap of the predicted with the true box. Easy pixels are left out, but at least ``keep``
pixels of a crop remain.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vostrack.errors import InputError
from vostrack.masks.palette import VOID
from vostrack.proposers.hough_voting.boxes import box_overlap, decode_boxes, encode_boxes

__all__ = [
    "Bootstrapping",
    "bootstrapped_cross_entropy",
    "hard_pixels",
    "localization_loss",
    "size_weights",
]

# A size weight outside this range would let a few pixels dominate the gradient.
_WEIGHT_LIMITS = (0.1, 10.0)
# Where smooth L1 turns from quadratic to linear, in units of a transform: 10 pixels. Over plain
# pixels, as in the paper, it is linear nearly everywhere. So a cell between two instances chooses
# one of them and not a box in between.
_ROUNDED = 0.1


@dataclass(frozen=True)
class Bootstrapping:
    """Which pixels of a crop count in the loss.

    The paper raises the threshold where the network does well on a crop and lowers it where it
    does badly, without a formula: here the threshold is the larger of ``threshold`` and the
    goodness of the ``keep``-th hardest pixel. 512 with threshold 0, the hardest 512, was the best
    of the paper's table 7.

    Attributes:
        keep: at least this many of the hardest pixels of a crop are kept; 0 for none (equation 1
            with a fixed threshold).
        threshold: goodness, in [0, 1], under which every pixel is kept; 1 keeps all that are not
            perfect.
    """

    keep: int = 512
    threshold: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: a value is out of its range, or nothing would ever be kept.
        """
        if self.keep < 0:
            raise InputError(f"keep: expected at least 0, got {self.keep}")
        if not 0 <= self.threshold <= 1:
            raise InputError(f"threshold: expected a value in [0, 1], got {self.threshold}")
        if self.keep == 0 and self.threshold == 0:
            raise InputError(
                "keep: expected at least 1 where `threshold` is 0, got 0, which leaves nothing to "
                "learn from; raise one of them"
            )


def hard_pixels(goodness: Tensor, valid: Tensor, rule: Bootstrapping | None) -> Tensor:
    """Choose the pixels that count in the loss, crop by crop.

    Args:
        goodness: (B, h, w), higher is easier.
        valid: (B, h, w) bool, the pixels that may be chosen.
        rule: which; None for all valid ones.

    Returns:
        (B, h, w) bool. Ties at the last place are all kept.
    """
    if rule is None:
        return valid
    chosen = torch.zeros_like(valid)
    for item, (good, allowed) in enumerate(zip(goodness.detach(), valid, strict=True)):
        values = good[allowed]
        if len(values) <= rule.keep:
            chosen[item] = allowed
            continue
        hard = good < rule.threshold
        if rule.keep:
            hard |= good <= values.kthvalue(rule.keep).values
        chosen[item] = allowed & hard
    return chosen


def bootstrapped_cross_entropy(
    logits: Tensor, target: Tensor, rule: Bootstrapping | None = Bootstrapping()
) -> Tensor:
    """Cross-entropy, the mean over the hard pixels (equation 1).

    Args:
        logits: (B, L, h, w).
        target: (B, h, w) int64 in 0..L-1, 255 where a pixel does not count.
        rule: which pixels are hard; None for all.

    Returns:
        A scalar; 0 where no pixel is left.
    """
    valid = target != VOID
    losses = F.cross_entropy(logits.float(), target, ignore_index=VOID, reduction="none")
    chosen = hard_pixels((-losses).exp(), valid, rule)
    return (losses * chosen).sum() / chosen.sum().clamp(min=1)


def size_weights(boxes: Tensor, valid: Tensor, exponent: float) -> Tensor:
    """Weigh pixels so that large instances do not dominate small ones.

    All pixels of an instance have the same weight, (mean area / area of its box) ** exponent,
    between 0.1 and 10 (Wu et al. 2016, section 2.1, asks for weights by height and width and
    leaves the form open).

    Args:
        boxes: (B, 4, h, w) x0, y0, x1, y1 in pixels.
        valid: (B, h, w) bool, the pixels with a box.
        exponent: 0 for no weights, 1 to give all instances about the same mass.

    Returns:
        (B, h, w); 0 where not valid.
    """
    area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).clamp(min=1)
    mean = (area * valid).sum() / valid.sum().clamp(min=1)
    return ((mean / area) ** exponent).clamp(*_WEIGHT_LIMITS) * valid


def localization_loss(
    transforms: Tensor,
    boxes: Tensor,
    valid: Tensor,
    centres: Tensor,
    *,
    rule: Bootstrapping | None = Bootstrapping(),
    size_exponent: float = 0.5,
) -> Tensor:
    """Smooth L1 of the transforms, the mean over the pixels whose boxes are still wrong.

    The intersection over union of the boxes decides which pixels are easy, because the voting
    compares it. A predicted box that ends before it begins has an overlap of 0.

    Args:
        transforms: (B, 4, h, w), predicted, as ``encode_boxes`` gives them.
        boxes: (B, 4, h, w), true, x0, y0, x1, y1 in pixels.
        valid: (B, h, w) bool, the pixels of an instance.
        centres: (2, h, w) x, y in pixels.
        rule: which pixels are hard; None for all.
        size_exponent: see ``size_weights``.

    Returns:
        A scalar; 0 where no pixel is left.
    """
    transforms = transforms.float()
    predicted = decode_boxes(transforms.detach(), centres, min_size=None)
    chosen = hard_pixels(box_overlap(predicted, boxes), valid, rule)
    target = encode_boxes(boxes, centres)
    distance = F.smooth_l1_loss(transforms, target, reduction="none", beta=_ROUNDED).sum(dim=1)
    weights = size_weights(boxes, valid, size_exponent) * chosen
    return (distance * weights).sum() / weights.sum().clamp(min=1e-6)
