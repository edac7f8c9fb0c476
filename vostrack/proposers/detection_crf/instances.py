"""From class probabilities and boxes to instances (Arnab and Torr 2016, eq. 4)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from vostrack.arrays import BoolArray, FloatArray
from vostrack.proposers.detection_crf.foreground import box_pixels

__all__ = ["BackgroundRule", "box_masks", "identify_instances"]

BackgroundRule = Literal["unexplained", "class"]

_FLOOR = 1e-8


def box_masks(boxes: FloatArray, height: int, width: int) -> BoolArray:
    """The pixels B_d of each box.

    Args:
        boxes: (D, 4) x0, y0, x1, y1 in pixels, the end exclusive.
        height: H.
        width: W.

    Returns:
        (D, H, W) bool.
    """
    masks = np.zeros((len(boxes), height, width), dtype=np.bool_)
    for mask, box in zip(masks, boxes, strict=True):
        mask[box_pixels(box, height, width)] = True
    return masks


def identify_instances(
    probabilities: Tensor,
    covered: Tensor,
    validity: Tensor,
    labels: Tensor,
    background: BackgroundRule = "unexplained",
) -> Tensor:
    """Distribute each pixel over the detections that cover it and the background.

    Detection k gets Q(l_k) Pr(Y_k = 1) within its box. The background gets the rest of Q times the
    largest Pr(Y_k = 1) among the covering boxes, so that the result does not depend on the order
    of the detections and a single box's confidence cancels; outside all boxes it gets everything.

    Args:
        probabilities: (L, H, W), Q.
        covered: (D, H, W) in [0, 1] or bool, positive at the boxes' pixels; how much each counts.
        validity: (D,) in [0, 1], Pr(Y_k = 1).
        labels: (D,) int64 classes in [1, L).
        background: the rest of Q is Q(background class) alone ("class", eq. 4 as printed), or the
            mass of every class that no covering box has ("unexplained"): a pixel of a class
            without a box is then not torn between the background and a box of another class.

    Returns:
        (D + 1, H, W), the background first; sums to one over the channels, nowhere zero.
    """
    if len(labels) == 0:
        return torch.ones_like(probabilities[:1])
    inside = (covered > 0).to(probabilities.dtype)
    weighted = covered.to(probabilities.dtype) * validity.to(probabilities.dtype)[:, None, None]
    rest = probabilities[0]
    if background == "unexplained":
        rest = torch.ones_like(rest)
        for label in torch.unique(labels):
            rest = rest - probabilities[label] * inside[labels == label].amax(0)
        rest = rest.clamp(min=0)
    outside = 1 - inside.amax(0)
    evidence = torch.cat(
        [(rest * weighted.amax(0) + outside)[None], probabilities[labels] * weighted]
    )
    evidence = evidence + _FLOOR
    return evidence / evidence.sum(0, keepdim=True)
