"""The propagation in plain PyTorch: slow, readable, the reference for all implementations.

Liu et al. 2017 ("Learning affinity via spatial propagation networks"), eq. 1; Cheng et al. 2017,
eq. 3. With x the input, h the state, and p1, p2, p3 the gates of the pixel towards the three
nearest pixels of the previous line (up or left, straight, down or right):

    h = (1 - p1 - p2 - p3) x + p1 h1 + p2 h2 + p3 h3 = x + sum_k p_k (h_k - x)

A source outside the image has no gate. In the second form, this is a source equal to x, which is
how the border is implemented here and in every kernel. A constant input is then reproduced exactly,
whatever the gates.

Every implementation provides the functions ``forward`` and ``backward`` of this module. Tensors are
float32 or float64. The caller has checked all shapes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from vostrack.refine.spn.directions import is_reversed, line_axis

__all__ = ["backward", "forward", "scan_states"]


def forward(
    x: Tensor, gates: Tensor, directions: Sequence[int], keep_states: bool
) -> tuple[Tensor, Tensor]:
    """Scan in every direction and take the maximum at each pixel.

    Autograd can differentiate it; the tests of ``backward`` use this.

    Args:
        x: (N, C, H, W).
        gates: (N or 1, C or 1, D, 3, H, W).
        directions: the D directions of ``gates``, as indices into ``DIRECTIONS``.
        keep_states: whether to return the state of each direction, for ``backward``.

    Returns:
        The result (N, C, H, W), and the states (D, N, C, H, W) or an empty tensor.
    """
    states = torch.stack([scan_states(x, gates[:, :, i], d) for i, d in enumerate(directions)])
    result = states.max(dim=0).values
    return result, states if keep_states else x.new_empty(0)


def scan_states(x: Tensor, gates: Tensor, direction: int) -> Tensor:
    """Scan in one direction.

    Args:
        x: (N, C, H, W).
        gates: (N or 1, C or 1, 3, H, W).
        direction: the direction, as index into ``DIRECTIONS``.

    Returns:
        The state h (N, C, H, W).
    """
    axis = line_axis(direction)
    step = -1 if is_reversed(direction) else 1
    # Unbind once: indexing a line per step makes autograd quadratic in the number of lines.
    lines = x.unbind(axis)[::step]
    gate_lines = gates.unbind(axis)[::step]
    h = lines[0]
    states = [h]
    for v, gate in zip(lines[1:], gate_lines[1:], strict=True):
        source = torch.cat([v[..., :1], h, v[..., -1:]], dim=-1)
        p1, p2, p3 = gate.unbind(2)
        h = v + p1 * (source[..., :-2] - v) + p2 * (h - v) + p3 * (source[..., 2:] - v)
        states.append(h)
    return torch.stack(states[::step], dim=axis)


def backward(
    grad: Tensor, x: Tensor, gates: Tensor, states: Tensor, directions: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Compute the gradients of ``forward``. In a tie, the gradient goes to the first direction.

    Args:
        grad: (N, C, H, W), the gradient of the result.
        x: (N, C, H, W).
        gates: (N or 1, C or 1, D, 3, H, W).
        states: (D, N, C, H, W), from ``forward``.
        directions: the D directions, as indices into ``DIRECTIONS``.

    Returns:
        The gradients of x (N, C, H, W) and of the gates, in the shape of the gates.
    """
    winner = states.argmax(dim=0)
    grad_x = torch.zeros_like(x)
    grad_gates = []
    for i, direction in enumerate(directions):
        theta = torch.where(winner == i, grad, 0)
        dx, dp = _scan_backward(theta, x, gates[:, :, i], states[i], direction)
        grad_x += dx
        grad_gates.append(dp)
    return grad_x, torch.stack(grad_gates, dim=2)


def _scan_backward(
    theta: Tensor, x: Tensor, gates: Tensor, state: Tensor, direction: int
) -> tuple[Tensor, Tensor]:
    """Solve the adjoint recurrence, from the last line of the scan to the first.

    For the total gradient delta of h, delta = theta + sum_k p_k delta_k over the pixels of the next
    line that have h as a source. Then dx = (1 - p1 - p2 - p3) delta and dp_k = delta (h_k - x).
    """
    axis = line_axis(direction)
    step = -1 if is_reversed(direction) else 1
    thetas, lines, sources, gate_lines = (t.unbind(axis)[::step] for t in (theta, x, state, gates))
    # Gradients from the next line along each gate.
    first, straight, last = (torch.zeros_like(lines[0]) for _ in range(3))
    grad_lines: list[Tensor] = []
    grad_gate_lines: list[Tensor] = []
    for t in range(len(lines) - 1, -1, -1):
        delta = (
            thetas[t]
            + functional.pad(first[..., 1:], (0, 1))
            + straight
            + functional.pad(last[..., :-1], (1, 0))
        )
        if t == 0:  # the first line has no source
            grad_lines.append(delta)
            grad_gate_lines.append(torch.zeros_like(gate_lines[0]))
            break
        p1, p2, p3 = gate_lines[t].unbind(2)
        first = functional.pad((p1 * delta)[..., 1:], (1, 0))
        straight = p2 * delta
        last = functional.pad((p3 * delta)[..., :-1], (0, 1))
        grad_lines.append(delta - first - straight - last)
        v, h = lines[t], sources[t - 1]
        neighbours = torch.cat([v[..., :1], h, v[..., -1:]], dim=-1)
        shares = torch.stack([neighbours[..., :-2], h, neighbours[..., 2:]], dim=2)
        dp = delta.unsqueeze(2) * (shares - v.unsqueeze(2))
        grad_gate_lines.append(dp.sum_to_size(gate_lines[t].shape))
    return (
        torch.stack(grad_lines[::-1][::step], dim=axis),
        torch.stack(grad_gate_lines[::-1][::step], dim=axis),
    )
