"""Drop pieces of a mask that are detached from the previous mask: they are look-alikes."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from vostrack.models.target_decoder import NOWHERE

__all__ = ["drop_detached_pieces"]


def drop_detached_pieces(logits: Tensor, before: Tensor, reaches: Sequence[int]) -> Tensor:
    """Drop connected pieces that do not touch where the object was.

    A look-alike that comes into view, or that the object passes, shows up as a piece of its own; a
    part of the object that something cuts off lies where the object was. It is the rule of the
    connected region filter (Cheng et al. 2017, section 4.2) without its choice of one region:
    objects come apart behind posts. Where no piece touches, the object has jumped: all are kept.

    Args:
        logits: (N, 1, h, w); above 0 is the object.
        before: (N, 1, h, w) in [0, 1], where the objects were.
        reaches: per object, how far from there a piece may begin, cells; negative to keep all.

    Returns:
        (N, 1, h, w), a copy where anything is dropped.
    """
    found = (logits[:, 0] > 0).to(torch.uint8).cpu().numpy()
    known = (before[:, 0] > 0.5).to(torch.uint8).cpu().numpy()
    dropped = np.zeros(found.shape, bool)
    for mask, was, reach, strange in zip(found, known, reaches, dropped, strict=True):
        count, pieces = cv2.connectedComponents(mask, connectivity=8)
        if reach < 0 or count <= 2:
            continue
        near = cv2.dilate(was, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
        touching = np.zeros(count, bool)
        touching[pieces[near > 0]] = True
        if touching[1:].any():
            touching[0] = True
            strange[:] = ~touching[pieces]
    if not dropped.any():
        return logits
    return logits.masked_fill(torch.from_numpy(dropped).to(logits.device)[:, None], NOWHERE)
