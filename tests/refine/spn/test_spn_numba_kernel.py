"""The numba kernel: threads, planes that share gates, errors, and scratch that is all written."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vostrack.refine.spn import numba_kernel, propagate, reference

Sample = Callable[..., Tensor]

pytestmark = pytest.mark.usefixtures("nan_scratch")


@pytest.mark.parametrize("size", [(31, 45), (1, 9), (9, 1), (1, 1)])
@pytest.mark.parametrize(
    "shape_of_gates", [(3, 2), (1, 2), (3, 1), (1, 1)], ids=["own", "objects", "channels", "all"]
)
def test_threads_change_nothing(
    shape_of_gates: tuple[int, int],
    size: tuple[int, int],
    threads: Callable[[int], None],
    sample: Sample,
) -> None:
    pytest.importorskip("numba")
    x = sample(3, 2, *size, dtype=torch.float32).requires_grad_()
    gates = sample(*shape_of_gates, 4, 3, *size, dtype=torch.float32, scale=0.3).requires_grad_()
    results = []
    for count in (1, 2, 3, 8):
        threads(count)
        y = propagate(x, gates, "numba")
        again = propagate(x.detach(), gates.detach(), "numba")
        results.append([y, again, *torch.autograd.grad(y.sum(), (x, gates))])
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))


@pytest.mark.parametrize("count", [2, 1])
def test_many_planes_share_their_gates(
    count: int, threads: Callable[[int], None], sample: Sample
) -> None:
    """More planes than are walked through together, with and without a cut in the last of them."""
    pytest.importorskip("numba")
    threads(count)
    for shape in ((19, 1, 6, 5), (2, 8, 5, 6)):
        x = sample(*shape)
        gates, grad = sample(1, 1, 4, 3, *shape[2:], scale=0.3), sample(*shape[::-1]).view(shape)
        y, states = reference.forward(x, gates, range(4), True)
        torch.testing.assert_close(numba_kernel.forward(x, gates, range(4), True), (y, states))
        torch.testing.assert_close(
            numba_kernel.backward(grad, x, gates, states, range(4)),
            reference.backward(grad, x, gates, states, range(4)),
        )


def test_an_error_in_a_thread_reaches_the_caller(
    threads: Callable[[int], None], sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba")
    x, gates = sample(4, 1, 5, 6), sample(4, 1, 4, 3, 5, 6, scale=0.3)
    expected = propagate(x, gates, "numba")
    threads(3)

    def fail(*_: object) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("no memory in this thread")
        time.sleep(0.01)  # leaves tasks to the other threads

    with monkeypatch.context() as patch:
        patch.setattr(numba_kernel, "transpose", fail)
        with pytest.raises(RuntimeError, match="in this thread"):
            propagate(x, gates, "numba")
    assert torch.equal(propagate(x, gates, "numba"), expected)


def test_numba_loops_leave_no_scratch_unwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loops, run uncompiled, with every array they allocate full of NaN."""
    pytest.importorskip("numba")
    from vostrack.refine.spn import numba_loops

    compiled = {k: f for k, f in vars(numba_loops).items() if hasattr(f, "py_func")}
    assert len(compiled) > 5
    for name, function in compiled.items():
        monkeypatch.setattr(numba_loops, name, function.py_func)
    allocate, poisoned = np.empty, []

    def poison(*args: Any, **kwargs: Any) -> Any:
        array = allocate(*args, **kwargs)
        if array.dtype.kind == "f":
            array.fill(np.nan)
            poisoned.append(array.shape)
        return array

    with monkeypatch.context() as patched:
        patched.setattr(np, "empty", poison)
        for size in ((4, 5), (3, 37), (1, 3), (3, 1)):
            x = torch.randn(2, 1, *size, dtype=torch.float64)
            gates = torch.randn(1, 1, 4, 3, *size, dtype=torch.float64) / 3
            y, states = reference.forward(x, gates, range(4), True)
            torch.testing.assert_close(numba_kernel.forward(x, gates, range(4), True), (y, states))
            torch.testing.assert_close(
                numba_kernel.backward(x, x, gates, states, range(4)),
                reference.backward(x, x, gates, states, range(4)),
            )
    assert (2, 39) in poisoned  # lines of a scan, with a cell at either end
