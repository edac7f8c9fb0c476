"""Gates under which the propagation is stable, and the contrast of an image along each of them."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from vostrack.errors import InputError
from vostrack.refine.spn.directions import DIRECTIONS, is_reversed, line_axis

__all__ = ["GateMode", "normalize_gates", "squared_contrast"]

GateMode = Literal["bounded", "always", "convex"]


def normalize_gates(raw: Tensor, mode: GateMode = "bounded") -> Tensor:
    """Normalise the three gates of every pixel.

    With a sum of absolute gates of at most one, Gershgorin's theorem bounds the transition from
    line to line by one (Liu et al. 2017, theorem 1). Signed gates still let the state leave the
    range of the input, even grow along the scan; only ``convex`` keeps scores in [0, 1].

    Args:
        raw: (..., 3, H, W), any real numbers.
        mode: ``bounded`` divides by max(1, sum |g|), so that small gates stay small and x
            dominates; ``always`` divides by sum |g|, as the released Caffe code of Liu et al. does;
            ``convex`` gives s_k / (1 + sum s) with s = softplus(g): the state is a convex
            combination of x and its three sources. Softplus rather than a sigmoid so that one gate
            can come as close to one as the guidance likes, and 1 + sum rather than a maximum so
            that x keeps a positive weight and no gradient ever vanishes altogether.

    Returns:
        The gates, in the shape of ``raw``.

    Raises:
        InputError: the mode is unknown, or ``raw`` has no axis of three gates.
    """
    if raw.ndim < 3 or raw.shape[-3] != 3:
        raise InputError(
            f"normalize_gates: expected raw gates (..., 3, H, W), got {tuple(raw.shape)}"
        )
    if mode == "bounded":
        return raw / raw.abs().sum(dim=-3, keepdim=True).clamp(min=1)
    if mode == "always":
        return raw / raw.abs().sum(dim=-3, keepdim=True).clamp(min=1e-6)
    if mode == "convex":
        positive = functional.softplus(raw)
        return positive / (1 + positive.sum(dim=-3, keepdim=True))
    raise InputError(
        f"normalize_gates: expected a mode out of {', '.join(get_args(GateMode))}, got {mode!r}"
    )


def squared_contrast(image: Tensor) -> Tensor:
    """Return how far each pixel is from the three that its gates take from, in colour.

    Args:
        image: (B, C, H, W).

    Returns:
        (B, 1, 4, 3, H, W): per direction and gate the mean over C of the squared difference; 0
        where the source is outside the image, on the side that the scan comes from.
    """
    height, width = image.shape[-2:]
    padded = functional.pad(image, (1, 1, 1, 1), mode="replicate")
    found = []
    for direction in range(len(DIRECTIONS)):
        before = 1 if is_reversed(direction) else -1
        for beside in (-1, 0, 1):
            step = (beside, before) if line_axis(direction) == -1 else (before, beside)
            top, left = (1 + offset for offset in step)
            source = padded[..., top : top + height, left : left + width]
            found.append((image - source).square().mean(dim=1))
    return torch.stack(found, dim=1).reshape(len(image), 1, len(DIRECTIONS), 3, height, width)
