"""The baseline of ``benchmarks/spn.py`` on a GPU: one kernel launch per line, as published.

The released code of Liu et al. 2017, and what followed it, launches a kernel for every column (or
row) of every direction, with one thread per pixel of the line, which reads the line before from
global memory. Forward only, float32.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["propagate_per_line"]

_BLOCK = 128


def propagate_per_line(x: Tensor, gates: Tensor) -> Tensor:
    """Do what ``vostrack.refine.spn.propagate`` does, without gradients.

    Args:
        x: (N, C, H, W) float32, contiguous, on a CUDA device.
        gates: (1 or N, 1 or C, 4, 3, H, W), as x.

    Returns:
        (N, C, H, W).
    """
    objects, channels, height, width = x.shape
    strides = [gates.stride(axis) if gates.shape[axis] > 1 else 0 for axis in (0, 1)]
    best = torch.empty_like(x)
    for direction in range(4):
        lines, lanes, line_stride, lane_stride = (
            (width, height, 1, width) if direction < 2 else (height, width, width, 1)
        )
        order = range(lines) if direction % 2 == 0 else range(lines - 1, -1, -1)
        back = -line_stride if direction % 2 == 0 else line_stride
        h = torch.empty_like(x)
        grid = (objects * channels, triton.cdiv(lanes, _BLOCK))
        for number, line in enumerate(order):
            _line_kernel[grid](
                x,
                gates[:, :, direction],
                h,
                line * line_stride,
                back,
                lanes,
                lane_stride,
                height * width,
                channels,
                *strides,
                FIRST=number == 0,
                BLOCK=_BLOCK,
            )
        best = torch.maximum(best, h) if direction else h
    return best


@triton.jit  # type: ignore[untyped-decorator]  # Triton reads no types
def _line_kernel(  # type: ignore[no-untyped-def]  # Triton reads no types
    x_ptr,
    gates_ptr,
    h_ptr,
    line,
    back,
    lanes,
    lane_stride,
    size,
    channels,
    object_stride,
    channel_stride,
    FIRST: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Compute one line of every plane: programs (N * C, blocks of lanes)."""
    plane = tl.program_id(0)
    lane = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = lane < lanes
    place = line + lane * lane_stride
    here = plane * size + place
    v = tl.load(x_ptr + here, mask=inside)
    if FIRST:
        tl.store(h_ptr + here, v, mask=inside)
    else:
        gate = (plane // channels) * object_stride + (plane % channels) * channel_stride + place
        before = h_ptr + here + back
        p1 = tl.load(gates_ptr + gate, mask=inside)
        p2 = tl.load(gates_ptr + gate + size, mask=inside)
        p3 = tl.load(gates_ptr + gate + 2 * size, mask=inside)
        # A source outside the image counts as x.
        h1 = tl.load(before - lane_stride, mask=inside & (lane > 0), other=0.0)
        h1 = tl.where(lane > 0, h1, v)
        h2 = tl.load(before, mask=inside)
        h3 = tl.load(before + lane_stride, mask=inside & (lane < lanes - 1), other=0.0)
        h3 = tl.where(lane < lanes - 1, h3, v)
        tl.store(h_ptr + here, v + p1 * (h1 - v) + p2 * (h2 - v) + p3 * (h3 - v), mask=inside)
