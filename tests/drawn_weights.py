"""Random weights from a table: torch draws every number anew, twice for each convolution."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import init

_NUMBERS = 1 << 21
_FEW = 4096
_BY_TORCH = (init.kaiming_normal_, init.kaiming_uniform_)


def draw_from_a_table(patch: pytest.MonkeyPatch) -> None:
    """Have torch's initial weights come from a table of numbers with the same distribution.

    The place in the table comes from torch's generator, so a seed gives the same weights again, and
    another seed gives others.
    """
    for drawn in _BY_TORCH:
        patch.setattr(init, drawn.__name__, _out_of_a_table(drawn))


def draw_by_torch(patch: pytest.MonkeyPatch) -> None:
    """Undo the above."""
    for drawn in _BY_TORCH:
        patch.setattr(init, drawn.__name__, drawn)


@cache
def _table(*, normal: bool) -> Tensor:
    generator, numbers = torch.Generator().manual_seed(0), torch.empty(_NUMBERS)
    if normal:
        return numbers.normal_(generator=generator)
    return numbers.uniform_(-math.sqrt(3), math.sqrt(3), generator=generator)


def _out_of_a_table(drawn: Callable[..., Tensor]) -> Callable[..., Tensor]:
    normal = drawn is init.kaiming_normal_

    def fill(
        tensor: Tensor,
        a: float = 0,
        mode: Any = "fan_in",
        nonlinearity: Any = "leaky_relu",
        generator: torch.Generator | None = None,
    ) -> Tensor:
        special = tensor.is_meta or torch.overrides.has_torch_function_variadic(tensor)
        if special or tensor.numel() < _FEW:
            return drawn(tensor, a, mode, nonlinearity, generator)
        weights = tensor.detach()
        fan = init._calculate_correct_fan(weights, mode)
        scale = init.calculate_gain(nonlinearity, a) / math.sqrt(fan)
        for first in range(0, weights.numel(), _NUMBERS // 2):
            part = weights.view(-1)[first : first + _NUMBERS // 2]
            start = int(torch.randint(_NUMBERS // 2, (), generator=generator))
            torch.mul(_table(normal=normal)[start : start + len(part)], scale, out=part)
        return tensor

    fill.__name__ = drawn.__name__
    return fill
