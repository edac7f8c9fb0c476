"""Normalising gates for a stable propagation, and the image contrast along each gate."""

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

    If the absolute gates sum to at most one, Gershgorin's theorem bounds the transition from line
    to line by one (Liu et al. 2017, theorem 1). With signed gates, the state can still leave the
    range of the input and even grow along the scan. Only ``convex`` keeps scores in [0, 1].

    Args:
        raw: (..., 3, H, W), any real numbers.
        mode: ``bounded`` divides by max(1, sum |g|), so that small gates stay small and x
            dominates. ``always`` divides by sum |g|, as in the released Caffe code of Liu et al.
            ``convex`` returns s_k / (1 + sum s) with s = softplus(g), so that the state is a convex
            combination of x and its three sources. With softplus, unlike a sigmoid, a gate can be
            arbitrarily close to one. With 1 + sum, unlike a maximum, x keeps a positive weight and
            no gradient vanishes completely.

    Returns:
        The normalised gates, in the shape of ``raw``.

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
        f"normalize_gates: expected one of the modes {', '.join(get_args(GateMode))}, got {mode!r}"
    )


def squared_contrast(image: Tensor) -> Tensor:
    """Return the squared colour difference of each pixel to the three sources of its gates.

    Args:
        image: (B, C, H, W).

    Returns:
        (B, 1, 4, 3, H, W): the squared difference for each direction and gate, averaged over C; 0
        if the source is outside the image.
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
