"""The linear propagation of a map along four directions, as a PyTorch operator.

It is registered as ``vostrack::spn_propagate`` with a fake implementation and a gradient, so that
``torch.compile(fullgraph=True)`` works. ``reference`` documents the mathematics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vostrack.errors import InputError
from vostrack.refine.spn import dispatch
from vostrack.refine.spn.directions import DIRECTIONS, Direction
from vostrack.refine.spn.dispatch import Impl

__all__ = ["propagate", "scan"]

_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def scan(x: Tensor, gates: Tensor, direction: Direction, impl: Impl = "auto") -> Tensor:
    """Propagate a map along one direction (Liu et al. 2017, eq. 1).

    From line to line, h = x + sum_k p_k (h_k - x) over the three nearest pixels h_k of the previous
    line. The gate p_k belongs to the receiving pixel. Sources outside the image have no gate.

    Args:
        x: (N, C, H, W), floating point. The state is at least float32, whatever the type of x.
        gates: (N or 1, C or 1, 3, H, W), with the type and device of x. Axis 2 has the gates of the
            up or left diagonal, the straight, and the down or right diagonal source. Gates shared
            by all objects or channels are not copied. ``normalize_gates`` makes them stable.
        direction: direction of the scan.
        impl: the implementation. ``auto`` chooses the one in VOSTRACK_SPN, or else the fastest.

    Returns:
        The state h, (N, C, H, W), in the type of x. It is differentiable once, with respect to x
        and the gates.

    Raises:
        InputError: shapes, types, devices or names do not match, or ``impl`` is not available.
    """
    if direction not in DIRECTIONS:
        raise InputError(
            f"scan: expected one of the directions {', '.join(DIRECTIONS)}, got {direction!r}"
        )
    _check(x, gates, "(N or 1, C or 1, 3, H, W)", (3,), impl)
    return _run(x, gates.unsqueeze(2), [DIRECTIONS.index(direction)], impl)


def propagate(x: Tensor, gates: Tensor, impl: Impl = "auto") -> Tensor:
    """Propagate a map along all four directions and take the maximum at each pixel.

    Args:
        x: (N, C, H, W), as in ``scan``.
        gates: (N or 1, C or 1, 4, 3, H, W). Axis 2 has left_right, right_left, top_bottom and
            bottom_top; axis 3 is as in ``scan``.
        impl: the implementation, as in ``scan``.

    Returns:
        (N, C, H, W), in the type of x. It is differentiable once. In a tie, the gradient goes to
        the first direction.

    Raises:
        InputError: as in ``scan``.
    """
    _check(x, gates, "(N or 1, C or 1, 4, 3, H, W)", (4, 3), impl)
    return _run(x, gates, list(range(4)), impl)


def _check(x: Tensor, gates: Tensor, form: str, middle: tuple[int, ...], impl: str) -> None:
    """Check the arguments. ``middle`` is the shape of the gates between channels and rows."""
    dispatch.check_name(impl, "impl")
    if x.ndim != 4 or 0 in x.shape:
        raise InputError(f"x: expected a non-empty map (N, C, H, W), got {tuple(x.shape)}")
    objects, channels, height, width = x.shape
    fits = (
        gates.ndim == 4 + len(middle)
        and gates.shape[0] in (1, objects)
        and gates.shape[1] in (1, channels)
        and tuple(gates.shape[2:]) == (*middle, height, width)
    )
    if not fits:
        raise InputError(
            f"gates: expected {form} for x of shape {tuple(x.shape)}, got {tuple(gates.shape)}"
        )
    if x.dtype not in _DTYPES or gates.dtype != x.dtype:
        raise InputError(
            f"x and gates: expected the same floating point type, got {x.dtype} and {gates.dtype}"
        )
    if gates.device != x.device:
        raise InputError(
            f"x and gates: expected the same device, got {x.device} and {gates.device}"
        )


def _run(x: Tensor, gates: Tensor, directions: list[int], impl: str) -> Tensor:
    keep_states = torch.is_grad_enabled() and (x.requires_grad or gates.requires_grad)
    if not keep_states and not torch.compiler.is_compiling():
        # The first call of an operator imports torch's compiler, which takes more than a second.
        return _propagate_now(x, gates, directions, impl, keep_states=False)[0]
    result: Tensor = _propagate(x, gates, directions, impl, keep_states)[0]
    return result


def _widen(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def _propagate_now(
    x: Tensor, gates: Tensor, directions: Sequence[int], impl: str, keep_states: bool
) -> tuple[Tensor, Tensor]:
    chosen = dispatch.resolve(impl, x.device)
    if chosen == "triton":  # it converts to the wider type on chip
        return dispatch.implementation(chosen).forward(x, gates, directions, keep_states)
    result, states = dispatch.implementation(chosen).forward(
        _widen(x), _widen(gates), directions, keep_states
    )
    return result.to(x.dtype).contiguous(), states


def _propagate_back_now(
    grad: Tensor,
    x: Tensor,
    gates: Tensor,
    states: Tensor,
    directions: Sequence[int],
    impl: str,
) -> tuple[Tensor, Tensor]:
    chosen = dispatch.resolve(impl, x.device)
    grad_x, grad_gates = dispatch.implementation(chosen).backward(
        _widen(grad), _widen(x), _widen(gates), states, directions
    )
    return grad_x.to(x.dtype).contiguous(), grad_gates.to(gates.dtype).contiguous()


def _states_like(x: Tensor, directions: Sequence[int], keep_states: bool) -> Tensor:
    shape = (len(directions), *x.shape) if keep_states else (0,)
    return x.new_empty(shape, dtype=_state_dtype(x.dtype))


def _state_dtype(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


_propagate = torch.library.custom_op(
    "vostrack::spn_propagate",
    _propagate_now,
    mutates_args=(),
    schema="(Tensor x, Tensor gates, int[] directions, str impl, bool keep_states)"
    " -> (Tensor, Tensor)",
)
_propagate_back = torch.library.custom_op(
    "vostrack::spn_propagate_back",
    _propagate_back_now,
    mutates_args=(),
    schema="(Tensor grad, Tensor x, Tensor gates, Tensor states, int[] directions, str impl)"
    " -> (Tensor, Tensor)",
)


@_propagate.register_fake
def _propagate_fake(
    x: Tensor, gates: Tensor, directions: Sequence[int], impl: str, keep_states: bool
) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), _states_like(x, directions, keep_states)


@_propagate_back.register_fake
def _propagate_back_fake(
    grad: Tensor,
    x: Tensor,
    gates: Tensor,
    states: Tensor,
    directions: Sequence[int],
    impl: str,
) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), gates.new_empty(gates.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, gates, directions, impl, _ = inputs
    states = output[1]
    ctx.mark_non_differentiable(states)
    ctx.save_for_backward(x, gates, states)
    ctx.directions, ctx.impl = directions, impl


def _differentiate(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
    x, gates, states = ctx.saved_tensors
    grad_x, grad_gates = _propagate_back(grad, x, gates, states, ctx.directions, ctx.impl)
    return grad_x, grad_gates, None, None, None


_propagate.register_autograd(_differentiate, setup_context=_save)
