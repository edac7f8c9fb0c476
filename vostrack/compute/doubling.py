"""Maps of one channel at twice the size, with gradients: torch takes several times as long."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vostrack.compute.plane_scaling import scaled

__all__ = ["doubled"]


def doubled(maps: Tensor) -> Tensor:
    """Scale maps (B, 1, h, w) linearly to (B, 1, 2 h, 2 w)."""
    if maps.device.type != "cpu" or maps.dtype != torch.float32:
        return F.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)
    return _Doubled.apply(maps)  # type: ignore[no-any-return]


class _Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        height, width = maps.shape[-2:]
        return scaled(maps, (2 * height, 2 * width))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _halved(_halved(gradients[0], 2), 3)


def _halved(given: Tensor, axis: int) -> Tensor:
    """Return the gradient along one axis: a cell is seen by four, by 1/4, 3/4, 3/4 and 1/4."""
    length = given.shape[axis] // 2
    even, odd = given.view(*given.shape[:axis], length, 2, *given.shape[axis + 1 :]).unbind(
        axis + 1
    )
    found: Tensor = (even + odd).mul_(0.75)
    found.narrow(axis, 0, length - 1).add_(even.narrow(axis, 1, length - 1), alpha=0.25)
    found.narrow(axis, 1, length - 1).add_(odd.narrow(axis, 0, length - 1), alpha=0.25)
    # At the ends, a cell stands for its missing neighbour.
    found.narrow(axis, 0, 1).add_(even.narrow(axis, 0, 1), alpha=0.25)
    found.narrow(axis, length - 1, 1).add_(odd.narrow(axis, length - 1, 1), alpha=0.25)
    return found
