"""Bfloat16 as hardware units compute it, on processors that have none.

Such a unit multiplies bfloat16 numbers, adds the products up in float32, and rounds the sum to
bfloat16. A product of two bfloat16 numbers is exact in float32. So a float32 product of rounded
operands, rounded at the end, is the same up to the order of the sum. Torch's own kernels for other
processors give the same too, but take many times as long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = ["EmulatedBf16"]

# What autocast computes in bfloat16 on a CPU, as it is called from Python.
_LOWERED = frozenset(
    {
        torch.conv1d,
        torch.conv2d,
        torch.conv3d,
        torch.conv_transpose1d,
        torch.conv_transpose2d,
        torch.conv_transpose3d,
        torch.nn.functional.linear,
        torch.nn.functional.scaled_dot_product_attention,
        torch.addbmm,
        torch.addmm,
        torch.baddbmm,
        torch.bmm,
        torch.matmul,
        torch.mm,
        Tensor.bmm,
        Tensor.matmul,
        Tensor.mm,
        Tensor.__matmul__,
    }
)
_FLOATS = (torch.float32, torch.bfloat16, torch.float16)


class EmulatedBf16(TorchFunctionMode):
    """Computes what bfloat16 autocast lowers in float32, from rounded operands to rounded results.

    Outside autocast, and inside one of another type, nothing changes. Gradients pass through the
    same roundings.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Call a function of torch, in the emulation where it is one of those that are lowered."""
        kwargs = kwargs or {}
        if func not in _LOWERED or not _lowering():
            return func(*args, **kwargs)
        with torch.autocast("cpu", enabled=False):
            rounded = [_rounded(value) for value in args]
            result = func(*rounded, **{name: _rounded(value) for name, value in kwargs.items()})
            return result.bfloat16()


def _lowering() -> bool:
    return torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16


def _rounded(value: Any) -> Any:
    if isinstance(value, Tensor) and value.dtype in _FLOATS:
        return value.bfloat16().float()
    return value
