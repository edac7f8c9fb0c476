"""The operator: every implementation against a linear system, the reference, and its properties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest
import torch
from torch import Tensor

from vostrack.refine.spn import DIRECTIONS, Direction, propagate, reference, scan
from vostrack.refine.spn.dispatch import implementation

CpuImpl = Literal["reference", "numba"]
Sample = Callable[..., Tensor]
Close = Callable[[Tensor, Tensor], None]

IMPLS: tuple[CpuImpl, ...] = ("reference", "numba")
# Odd, one pixel wide or high, a single pixel, and more than two tiles of columns.
SIZES = [(7, 5), (1, 6), (6, 1), (1, 1), (2, 2), (5, 37), (19, 16)]
SHARING = [(2, 3), (1, 3), (2, 1), (1, 1)]
OP = torch.ops.vostrack.spn_propagate.default
BACK_OP = torch.ops.vostrack.spn_propagate_back.default

pytestmark = pytest.mark.usefixtures("nan_scratch")


@pytest.fixture(params=IMPLS)
def impl(request: pytest.FixtureRequest) -> CpuImpl:
    if request.param == "numba":
        pytest.importorskip("numba")
    chosen: CpuImpl = request.param
    return chosen


def gradients(y: Tensor, grad: Tensor, *inputs: Tensor) -> list[Tensor]:
    found = torch.autograd.grad(y, inputs, grad, allow_unused=True)
    return [torch.zeros_like(i) if g is None else g for i, g in zip(inputs, found, strict=True)]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("size", [(5, 4), (1, 4), (4, 1), (3, 18)])
def test_scan_solves_the_linear_system(
    impl: CpuImpl,
    dtype: torch.dtype,
    direction: Direction,
    size: tuple[int, int],
    sample: Sample,
    solve: Callable[..., tuple[Tensor, Tensor, Tensor]],
    close: Close,
) -> None:
    x = sample(1, 1, *size, dtype=dtype).requires_grad_()
    gates = sample(1, 1, 3, *size, dtype=dtype, scale=0.4).requires_grad_()
    grad = sample(*size, 1, 1, dtype=dtype).view_as(x)
    y = scan(x, gates, direction, impl)
    expected = solve(x.detach()[0, 0], gates.detach()[0, 0], direction, grad[0, 0])
    for actual, wanted in zip([y, *gradients(y, grad, x, gates)], expected, strict=True):
        close(actual[0, 0].detach(), wanted)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("sharing", SHARING)
def test_values_and_gradients_equal_autograd_through_the_reference(
    impl: CpuImpl,
    dtype: torch.dtype,
    size: tuple[int, int],
    sharing: tuple[int, int],
    sample: Sample,
    close: Close,
) -> None:
    x = sample(2, 3, *size, dtype=dtype).requires_grad_()
    gates = sample(*sharing, 4, 3, *size, dtype=dtype, scale=0.3).requires_grad_()
    grad = sample(*size, 2, 3, dtype=dtype).view(x.shape)
    wanted, _ = reference.forward(x, gates, range(4), keep_states=False)
    y = propagate(x, gates, impl)
    close(y, wanted)
    assert torch.equal(propagate(x.detach(), gates.detach(), impl), y)
    for actual, expected in zip(
        gradients(y, grad, x, gates), gradients(wanted, grad, x, gates), strict=True
    ):
        close(actual, expected)


def test_gradients_in_double_precision(impl: CpuImpl, sample: Sample) -> None:
    x = sample(2, 1, 4, 3).requires_grad_()
    gates = sample(1, 1, 4, 3, 4, 3, scale=0.3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, g: propagate(x, g, impl), (x, gates))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_constant_is_reproduced_exactly(
    impl: CpuImpl, dtype: torch.dtype, direction: Direction, sample: Sample
) -> None:
    x = torch.full((1, 1, 7, 19), 0.3, dtype=dtype)
    gates = sample(1, 1, 3, 7, 19, dtype=dtype, scale=5)
    assert torch.equal(scan(x, gates, direction, impl), x)


def test_gates_towards_the_outside_have_no_effect(impl: CpuImpl, sample: Sample) -> None:
    x, gates = sample(1, 1, 6, 7), sample(1, 1, 4, 3, 6, 7, scale=0.3)
    other = gates.clone()
    other[:, :, :2, 0, 0] = other[:, :, :2, 2, -1] = 1e6
    other[:, :, 2:, 0, :, 0] = other[:, :, 2:, 2, :, -1] = 1e6
    first_lines = ((0, slice(None), 0), (1, slice(None), -1), (2, 0), (3, -1))
    for direction, *line in first_lines:
        for gate in range(3):
            other[(0, 0, direction, gate, *line)] = 1e6
    assert torch.equal(propagate(x, other, impl), propagate(x, gates, impl))


def test_flips_and_transposition_commute(
    impl: CpuImpl, dtype: torch.dtype, sample: Sample, close: Close
) -> None:
    x, gates = sample(2, 1, 9, 18, dtype=dtype), sample(2, 1, 3, 9, 18, dtype=dtype, scale=0.3)
    y = scan(x, gates, "left_right", impl)
    close(scan(x.flip(3), gates.flip(4), "right_left", impl).flip(3), y)
    close(scan(x.flip(2), gates.flip(2, 3), "left_right", impl).flip(2), y)
    close(scan(x.mT, gates.mT, "top_bottom", impl).mT, y)
    close(scan(x.mT.flip(2), gates.mT.flip(3), "bottom_top", impl).flip(2).mT, y)


def test_propagation_is_the_maximum_over_the_scans(impl: CpuImpl, sample: Sample) -> None:
    x, gates = sample(2, 2, 6, 20), sample(2, 1, 4, 3, 6, 20, scale=0.3)
    scans = [scan(x, gates[:, :, i], d, impl) for i, d in enumerate(DIRECTIONS)]
    assert torch.equal(propagate(x, gates, impl), torch.stack(scans).amax(dim=0))


def test_a_tie_goes_to_the_first_direction(impl: CpuImpl, sample: Sample) -> None:
    x = torch.full((1, 1, 5, 6), 0.3, dtype=torch.float64, requires_grad=True)
    gates, grad = sample(1, 1, 4, 3, 5, 6, scale=0.3), sample(5, 6, 1, 1).view_as(x)
    of_first = gradients(scan(x, gates[:, :, 0], DIRECTIONS[0], impl), grad, x)
    torch.testing.assert_close(gradients(propagate(x, gates, impl), grad, x), of_first)


def test_shared_gates_act_as_their_copies(impl: CpuImpl, sample: Sample, close: Close) -> None:
    x = sample(3, 2, 5, 17).requires_grad_()
    gates = sample(1, 1, 4, 3, 5, 17, scale=0.3).requires_grad_()
    copies = gates.detach().repeat(3, 2, 1, 1, 1, 1).requires_grad_()
    y, grad = propagate(x, gates, impl), sample(5, 17, 3, 2).view(x.shape)
    assert torch.equal(y, propagate(x, copies, impl))
    of_copies = gradients(propagate(x, copies, impl), grad, copies)[0]
    torch.testing.assert_close(
        gradients(y, grad, gates)[0], of_copies.sum(dim=(0, 1), keepdim=True)
    )


def test_objects_do_not_depend_on_their_batch(impl: CpuImpl, sample: Sample) -> None:
    x, gates = sample(3, 2, 6, 7), sample(1, 2, 4, 3, 6, 7, scale=0.3)
    alone = torch.cat([propagate(x[i : i + 1], gates, impl) for i in range(3)])
    assert torch.equal(propagate(x, gates, impl), alone)


def test_inputs_need_not_be_contiguous(impl: CpuImpl, sample: Sample) -> None:
    x, gates = (
        sample(7, 2, 6, 3).permute(1, 3, 2, 0),
        sample(5, 7, 6, 3, 4, 1).permute(5, 0, 4, 3, 2, 1),
    )
    x, gates = x[:, :1], gates[:, :1]
    expected = propagate(x.contiguous(), gates.contiguous(), impl)
    assert torch.equal(propagate(x, gates, impl), expected)


def test_gradients_need_not_be_contiguous(impl: CpuImpl, sample: Sample) -> None:
    """Planes of gates that lie dense, but not one behind the other; a gradient of strides 0."""
    x = sample(3, 2, 6, 7).transpose(0, 1)
    gates = sample(4, 3, 2, 3, 6, 7, scale=0.3).permute(2, 3, 0, 1, 4, 5)
    grad = sample(1, 1, 6, 1).expand(x.shape)
    y, states = implementation(impl).forward(x, gates, range(4), True)
    wanted, states_wanted = reference.forward(x, gates, range(4), True)
    torch.testing.assert_close((y, states), (wanted, states_wanted))
    torch.testing.assert_close(
        implementation(impl).backward(grad, x, gates, states.mT.contiguous().mT, range(4)),
        reference.backward(grad, x, gates, states, range(4)),
    )


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_half_precision_is_rounded_once(impl: CpuImpl, half: torch.dtype, sample: Sample) -> None:
    x = sample(2, 1, 6, 40, dtype=half).requires_grad_()
    gates = sample(1, 1, 4, 3, 6, 40, dtype=half, scale=0.3).requires_grad_()
    wide_x, wide_gates = (t.detach().float().requires_grad_() for t in (x, gates))
    y, wide = propagate(x, gates, impl), propagate(wide_x, wide_gates, impl)
    assert y.dtype == half
    assert torch.equal(y, wide.to(half))
    grad = sample(40, 2, 6, 1, dtype=half).view(x.shape)
    for low, high in zip(
        gradients(y, grad, x, gates), gradients(wide, grad.float(), wide_x, wide_gates), strict=True
    ):
        assert torch.equal(low, high.to(half))


def test_nan_reaches_the_result(impl: CpuImpl, sample: Sample) -> None:
    x, gates = sample(1, 1, 4, 5), sample(1, 1, 4, 3, 4, 5, scale=0.1).abs()
    x[0, 0, 2, 2] = torch.nan
    spread = propagate(x, gates, impl).isnan()[0, 0]
    assert spread[2].all()
    assert spread[:, 2].all()


@pytest.mark.parametrize("needs_grad", [True, False])
def test_registration(impl: CpuImpl, needs_grad: bool, sample: Sample) -> None:
    x, gates = sample(2, 2, 4, 5), sample(1, 2, 4, 3, 4, 5, scale=0.3)
    directions = [0, 1, 2, 3]
    inputs = (x.clone().requires_grad_(needs_grad), gates.clone().requires_grad_(needs_grad))
    torch.library.opcheck(OP, (*inputs, directions, impl, needs_grad))
    _, states = OP(*inputs, directions, impl, True)
    assert not states.requires_grad
    torch.library.opcheck(BACK_OP, (x, x, gates, states, directions, impl))


def compiled_equals_eager(backend: str, sample: Sample) -> None:
    def loss(x: Tensor, gates: Tensor) -> Tensor:
        return propagate(x * 2, gates).sin().sum()

    x = sample(1, 2, 5, 6).requires_grad_()
    gates = sample(1, 1, 4, 3, 5, 6, scale=0.3).requires_grad_()
    compiled = torch.compile(loss, fullgraph=True, backend=backend)
    one = torch.ones((), dtype=x.dtype)
    expected = gradients(loss(x, gates), one, x, gates)
    for actual, wanted in zip(gradients(compiled(x, gates), one, x, gates), expected, strict=True):
        torch.testing.assert_close(actual, wanted)


def test_compile_keeps_one_graph(sample: Sample) -> None:
    compiled_equals_eager("aot_eager", sample)


@pytest.mark.slow
def test_compile_with_the_default_backend(sample: Sample) -> None:
    compiled_equals_eager("inductor", sample)
