"""The numba kernel: threads, planes that share gates, errors, and scratch that is all written."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable

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


def test_numba_loops_leave_no_scratch_unwritten() -> None:
    """The loops, run uncompiled, with every array they allocate full of NaN."""
    pytest.importorskip("numba")
    script = """
import numpy, torch
empty = numpy.empty
def poisoned(*args, **kwargs):
    array = empty(*args, **kwargs)
    if array.dtype.kind == "f":
        array.fill(numpy.nan)
    return array
numpy.empty = poisoned
from vostrack.refine.spn import numba_kernel, numba_loops, reference
assert not hasattr(numba_loops.scan_rows, "py_func"), "the loops were compiled"
for height, width in ((4, 5), (3, 37), (1, 3), (3, 1)):
    x = torch.randn(2, 1, height, width, dtype=torch.float64)
    gates = torch.randn(1, 1, 4, 3, height, width, dtype=torch.float64) / 3
    y, states = reference.forward(x, gates, range(4), True)
    torch.testing.assert_close(numba_kernel.forward(x, gates, range(4), True), (y, states))
    torch.testing.assert_close(
        numba_kernel.backward(x, x, gates, states, range(4)),
        reference.backward(x, x, gates, states, range(4)),
    )
"""
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
