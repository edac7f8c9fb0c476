"""From logits in a window to scores in the frame, and to what each object keeps of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from vostrack.models.target_decoder import NOWHERE
from vostrack.online_finetune.target.window import Window

__all__ = ["own_scores", "spread_logits"]


def spread_logits(logits: Tensor, window: Window, size: Sequence[int]) -> Tensor:
    """Return scores (N, h, w) in [0, 1] for a frame of ``size`` = h and w.

    Args:
        logits: (N, 1, H, W), in the window.
        window: outside of it scores are 0.
        size: of the frame.
    """
    if logits.device.type != "cpu":
        return window.paste(window.spread(logits).sigmoid_(), size)[:, 0]
    x0, y0, x1, y1 = window.box
    scores = logits.new_zeros((len(logits), *size))
    inside = scores[:, y0:y1, x0:x1]
    inside.fill_(1 / (1 + math.exp(-NOWHERE)))
    # Exponentials are computed only where an object can be.
    for found, spread, target in zip(
        logits[:, 0], window.spread(logits)[:, 0], inside, strict=True
    ):
        filled = (found.numpy() != NOWHERE).view(np.uint8)
        left, top, width, height = cv2.boundingRect(filled)
        if width:
            part = (
                _reached(top, top + height, found.shape[0], y1 - y0),
                _reached(left, left + width, found.shape[1], x1 - x0),
            )
            torch.sigmoid(spread[part], out=target[part])
    return scores


def _reached(start: int, stop: int, cells: int, pixels: int) -> slice:
    """Return the pixels of a side that depend on some of its cells."""
    ratio = pixels / cells
    first, last = (start - 0.5) * ratio, (stop + 0.5) * ratio
    return slice(max(0, math.floor(first) - 1), min(pixels, math.ceil(last) + 1))


def own_scores(scores: Tensor, labels: Tensor) -> Tensor:
    """Return scores (N, h, w) that are 0 where another object has won, however high they were.

    Args:
        scores: (N, h, w) in [0, 1].
        labels: (h, w) uint8, slots 1..N.
    """
    follows = torch.is_grad_enabled() and scores.requires_grad
    if scores.device.type != "cpu" or scores.dtype != torch.float32 or follows:
        slots = torch.arange(1, len(scores) + 1, dtype=labels.dtype, device=labels.device)
        keep = (labels == slots[:, None, None]).logical_or_(labels == 0)
        return keep.view(torch.uint8).to(scores.dtype).mul_(scores)
    # numpy compares bytes ten times faster.
    won, own = labels.numpy(), torch.empty_like(scores)
    free = won == 0
    kept = zip(scores.detach().numpy(), own.numpy(), strict=True)
    for slot, (score, result) in enumerate(kept, start=1):
        np.multiply(score, free | (won == slot), out=result)
    return own
