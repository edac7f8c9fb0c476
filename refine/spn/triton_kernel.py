"""The propagation on CUDA: one launch for all directions, channels and objects.

Each program scans one plane in one direction and keeps the current line in registers. Neighbours
are exchanged on chip, and the next line is loaded while the current one is computed. Inputs may be
float16 or bfloat16. The state is float32 (float64 for float64). A horizontal scan reads columns
with the stride of a row. Neighbouring columns share cache lines, so memory is read once, but not in
full transactions.

These kernels were tested in Triton's interpreter and compiled for several architectures. They have
never run on a GPU. ``dispatch`` compares them with the reference before using them on a device.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["backward", "forward", "scan_back_kernel", "scan_kernel"]


def forward(
    x: Tensor, gates: Tensor, directions: Sequence[int], keep_states: bool
) -> tuple[Tensor, Tensor]:
    """Compute the same as ``reference.forward``, without autograd.

    x and the gates may have any floating point type. The result has the type of x. The states are
    float32, or float64 if x is.
    """
    x, gates = x.contiguous(), gates.contiguous()
    wide = torch.float64 if x.dtype == torch.float64 else torch.float32
    states = x.new_empty((len(directions), *x.shape), dtype=wide)
    with _on(x.device):
        scan_kernel[_grid(x, directions)](
            x, gates, states, _codes(directions, x.device), *_sizes(x, gates), **_launch(x)
        )
    result = states.amax(dim=0).to(x.dtype)
    return result, states if keep_states else states.new_empty(0)


def backward(
    grad: Tensor, x: Tensor, gates: Tensor, states: Tensor, directions: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Compute the same as ``reference.backward``.

    The gradients of shared gates are written per plane and summed afterwards. This is reproducible,
    but needs memory for one set of gates per plane.
    """
    grad, x, gates, states = (t.contiguous() for t in (grad, x, gates, states))
    winner = states.argmax(dim=0).to(torch.uint8)
    grad_x = torch.empty_like(states)
    objects, channels, height, width = x.shape
    grad_gates = x.new_empty((objects, channels, len(directions), 3, height, width))
    with _on(x.device):
        scan_back_kernel[_grid(x, directions)](
            grad,
            winner,
            x,
            gates,
            states,
            grad_x,
            grad_gates,
            _codes(directions, x.device),
            *_sizes(x, gates),
            **_launch(x),
        )
    return grad_x.sum(dim=0), grad_gates.sum_to_size(gates.shape)


def _on(device: torch.device) -> AbstractContextManager[object]:
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def _grid(x: Tensor, directions: Sequence[int]) -> tuple[int, int]:
    return x.shape[0] * x.shape[1], len(directions)


def _codes(directions: Sequence[int], device: torch.device) -> Tensor:
    return torch.tensor(list(directions), dtype=torch.int32, device=device)


def _sizes(x: Tensor, gates: Tensor) -> tuple[int, ...]:
    """Return C, H, W, and the strides of the gates per object and channel, in sets of gates."""
    _, channels, height, width = x.shape
    per_object = gates.shape[1] if gates.shape[0] > 1 else 0
    per_channel = 1 if gates.shape[1] > 1 else 0
    return channels, height, width, per_object, per_channel


def _launch(x: Tensor) -> dict[str, int]:
    block = triton.next_power_of_2(max(x.shape[-2:]))
    return {"BLOCK": block, "num_warps": max(1, min(16, block // 64))}


@triton.jit
def _geometry(direction, height, width):  # type: ignore[no-untyped-def]  # Triton reads no types
    """Return the numbers of lines and lanes, the lane stride, the first offset and the step."""
    horizontal = direction < 2
    lines = tl.where(horizontal, width, height)
    lanes = tl.where(horizontal, height, width)
    line_stride = tl.where(horizontal, 1, width)
    lane_stride = tl.where(horizontal, width, 1)
    backwards = direction % 2 == 1
    start = tl.where(backwards, (lines - 1) * line_stride, 0)
    step = tl.where(backwards, -line_stride, line_stride)
    return lines, lanes, lane_stride, start, step


@triton.jit  # type: ignore[untyped-decorator]  # Triton reads no types
def scan_kernel(  # type: ignore[no-untyped-def]  # Triton reads no types
    x_ptr,
    gates_ptr,
    states_ptr,
    directions_ptr,
    channels,
    height,
    width,
    gates_per_object,
    gates_per_channel,
    BLOCK: tl.constexpr,
):
    """Scan one plane in one direction. Programs: (N * C, D); a line has at most BLOCK lanes."""
    plane = tl.program_id(0).to(tl.int64)
    slot = tl.program_id(1)
    size = height * width
    lines, lanes, lane_stride, start, step = _geometry(
        tl.load(directions_ptr + slot), height, width
    )
    gate_set = (plane // channels) * gates_per_object + (plane % channels) * gates_per_channel
    lane = tl.arange(0, BLOCK)
    inside = lane < lanes
    lower = tl.maximum(lane - 1, 0)
    upper = tl.minimum(lane + 1, BLOCK - 1)
    offset = lane * lane_stride + start
    x_ptr += plane * size
    gates_ptr += (gate_set * tl.num_programs(1) + slot) * 3 * size
    states_ptr += (slot * tl.num_programs(0).to(tl.int64) + plane) * size
    wide = states_ptr.dtype.element_ty

    h = tl.load(x_ptr + offset, mask=inside, other=0.0).to(wide)
    tl.store(states_ptr + offset, h, mask=inside)
    offset += step
    more = lane < tl.where(lines > 1, lanes, 0)
    v = tl.load(x_ptr + offset, mask=more, other=0.0).to(wide)
    p1 = tl.load(gates_ptr + offset, mask=more, other=0.0).to(wide)
    p2 = tl.load(gates_ptr + size + offset, mask=more, other=0.0).to(wide)
    p3 = tl.load(gates_ptr + 2 * size + offset, mask=more, other=0.0).to(wide)
    for t in range(1, lines):
        following = offset + step
        more = lane < tl.where(t + 1 < lines, lanes, 0)
        next_v = tl.load(x_ptr + following, mask=more, other=0.0).to(wide)
        next_p1 = tl.load(gates_ptr + following, mask=more, other=0.0).to(wide)
        next_p2 = tl.load(gates_ptr + size + following, mask=more, other=0.0).to(wide)
        next_p3 = tl.load(gates_ptr + 2 * size + following, mask=more, other=0.0).to(wide)
        # A source outside the image equals x, so that its gate has no effect.
        h1 = tl.where(lane == 0, v, tl.gather(h, lower, 0))
        h3 = tl.where(lane == lanes - 1, v, tl.gather(h, upper, 0))
        h = v + p1 * (h1 - v) + p2 * (h - v) + p3 * (h3 - v)
        tl.store(states_ptr + offset, h, mask=inside)
        offset = following
        v, p1, p2, p3 = next_v, next_p1, next_p2, next_p3


@triton.jit  # type: ignore[untyped-decorator]  # Triton reads no types
def scan_back_kernel(  # type: ignore[no-untyped-def]  # Triton reads no types
    grad_ptr,
    winner_ptr,
    x_ptr,
    gates_ptr,
    states_ptr,
    grad_x_ptr,
    grad_gates_ptr,
    directions_ptr,
    channels,
    height,
    width,
    gates_per_object,
    gates_per_channel,
    BLOCK: tl.constexpr,
):
    """Differentiate ``scan_kernel``: grad_x (D, N, C, H, W), grad_gates (N, C, D, 3, H, W)."""
    plane = tl.program_id(0).to(tl.int64)
    slot = tl.program_id(1)
    size = height * width
    lines, lanes, lane_stride, start, step = _geometry(
        tl.load(directions_ptr + slot), height, width
    )
    gate_set = (plane // channels) * gates_per_object + (plane % channels) * gates_per_channel
    lane = tl.arange(0, BLOCK)
    inside = lane < lanes
    lower = tl.maximum(lane - 1, 0)
    upper = tl.minimum(lane + 1, BLOCK - 1)
    grad_ptr += plane * size
    winner_ptr += plane * size
    x_ptr += plane * size
    gates_ptr += (gate_set * tl.num_programs(1) + slot) * 3 * size
    grad_gates_ptr += (plane * tl.num_programs(1) + slot) * 3 * size
    states_ptr += (slot * tl.num_programs(0).to(tl.int64) + plane) * size
    grad_x_ptr += (slot * tl.num_programs(0).to(tl.int64) + plane) * size

    offset = lane * lane_stride + start + (lines - 1) * step
    # Gradients from the next line along each gate.
    first = tl.zeros([BLOCK], dtype=states_ptr.dtype.element_ty)
    straight = tl.zeros([BLOCK], dtype=states_ptr.dtype.element_ty)
    last = tl.zeros([BLOCK], dtype=states_ptr.dtype.element_ty)
    for back in range(0, lines):
        # The first line of the scan has no source.
        sourced = lane < tl.where(back < lines - 1, lanes, 0)
        theta = tl.load(grad_ptr + offset, mask=inside, other=0.0)
        won = tl.load(winner_ptr + offset, mask=inside, other=255)
        v = tl.load(x_ptr + offset, mask=inside, other=0.0)
        p1 = tl.load(gates_ptr + offset, mask=sourced & (lane > 0), other=0.0)
        p2 = tl.load(gates_ptr + size + offset, mask=sourced, other=0.0)
        p3 = tl.load(gates_ptr + 2 * size + offset, mask=sourced & (lane < lanes - 1), other=0.0)
        source = states_ptr + offset - step
        h1 = tl.load(source - lane_stride, mask=sourced & (lane > 0), other=0.0)
        h2 = tl.load(source, mask=sourced, other=0.0)
        h3 = tl.load(source + lane_stride, mask=sourced & (lane < lanes - 1), other=0.0)

        from_first = tl.where(lane == BLOCK - 1, 0.0, tl.gather(first, upper, 0))
        from_last = tl.where(lane == 0, 0.0, tl.gather(last, lower, 0))
        delta = tl.where(won == slot, theta, 0.0) + from_first + straight + from_last
        first, straight, last = p1 * delta, p2 * delta, p3 * delta
        tl.store(grad_x_ptr + offset, delta - first - straight - last, mask=inside)
        d1 = tl.where(sourced & (lane > 0), delta * (h1 - v), 0.0)
        d2 = tl.where(sourced, delta * (h2 - v), 0.0)
        d3 = tl.where(sourced & (lane < lanes - 1), delta * (h3 - v), 0.0)
        tl.store(grad_gates_ptr + offset, d1, mask=inside)
        tl.store(grad_gates_ptr + size + offset, d2, mask=inside)
        tl.store(grad_gates_ptr + 2 * size + offset, d3, mask=inside)
        offset -= step
