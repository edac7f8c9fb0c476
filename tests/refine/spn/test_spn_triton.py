"""The CUDA kernels without a GPU: their arithmetic in the interpreter, and that they compile."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="needs the package triton"
)

INTERPRETED = """
import math
import torch
from vostrack.refine.spn import dispatch, propagate, reference, scan, triton_kernel

def poison(allocate):
    def allocated(*args, **kwargs):
        tensor = allocate(*args, **kwargs)
        return tensor.fill_(math.nan) if tensor.is_floating_point() else tensor
    return allocated

for owner, name in ((torch, "empty"), (torch, "empty_like"), (torch.Tensor, "new_empty")):
    setattr(owner, name, poison(getattr(owner, name)))
torch.manual_seed(0)
# The interpreter is slow: it takes a second for a hundred pixels.
cases = [((2, 3), sharing, torch.float32, 2) for sharing in ((2, 2), (1, 2), (2, 1))]
cases += [(size, (1, 1), torch.float64, 1) for size in ((3, 4), (1, 3), (3, 1), (1, 1))]
for size, sharing, dtype, count in cases:
    x = torch.randn(count, count, *size, dtype=dtype)
    gates = torch.randn(*sharing, 4, 3, *size, dtype=dtype) / 3
    grad = torch.randn_like(x)
    y, states = reference.forward(x, gates, range(4), True)
    torch.testing.assert_close(triton_kernel.forward(x, gates, range(4), True), (y, states))
    torch.testing.assert_close(
        triton_kernel.backward(grad, x, gates, states, range(4)),
        reference.backward(grad, x, gates, states, range(4)),
    )
x = torch.randn(1, 1, 2, 3, requires_grad=True)
gates = (torch.randn(1, 1, 4, 3, 2, 3) / 3).requires_grad_()
grads = [
    torch.autograd.grad(propagate(x, gates, impl).sum(), (x, gates))
    for impl in ("triton", "reference")
]
torch.testing.assert_close(*grads)
for direction in ("left_right", "right_left", "top_bottom", "bottom_top"):
    one = gates[:, :, 1]
    torch.testing.assert_close(
        scan(x, one, direction, "triton"), scan(x, one, direction, "reference")
    )
for half in (torch.bfloat16, torch.float16):
    low = [t.detach().to(half) for t in (x, gates)]
    assert torch.equal(propagate(*low, "triton"), propagate(*low, "reference"))
assert dispatch._disagreement(torch.device("cpu")) == ""
dispatch._disagreement.cache_clear()
right = triton_kernel.backward
triton_kernel.backward = lambda *a: tuple(n * g for n, g in zip((1, 2), right(*a)))
assert "AssertionError" in dispatch._disagreement(torch.device("cpu"))
print("checked")
"""


def test_the_interpreted_kernels_equal_the_reference() -> None:
    finished = subprocess.run(
        [sys.executable, "-c", INTERPRETED],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert "checked" in finished.stdout


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="nothing is compiled")
def test_the_kernels_compile_for_gpus_that_are_not_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from triton import compiler
    from triton.backends.compiler import GPUTarget

    from vostrack.refine.spn import triton_kernel

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("TRITON_DEFAULT_FP_FUSION", "1")  # as it is by default
    sizes = ("channels", "height", "width", "gates_per_object", "gates_per_channel")
    wide = ("grad_ptr", "x_ptr", "gates_ptr", "states_ptr", "grad_x_ptr", "grad_gates_ptr")
    # A size of one becomes a constant at a launch.
    for capability, dtype, block, ones in (
        (80, "fp32", 1024, ()),
        (90, "bf16", 2048, ("channels", "height", "width")),
    ):
        narrow = {"x_ptr": "*" + dtype, "gates_ptr": "*" + dtype, "states_ptr": "*fp32"}
        for kernel, pointers in (
            (triton_kernel.scan_kernel, narrow),
            (triton_kernel.scan_back_kernel, dict.fromkeys(wide, "*fp32") | {"winner_ptr": "*u8"}),
        ):
            constants: dict[str, Any] = dict.fromkeys(ones, 1) | {"BLOCK": block}
            signature = dict.fromkeys(sizes, "i32") | pointers | {"directions_ptr": "*i32"}
            signature |= dict.fromkeys(constants, "constexpr")
            source = compiler.ASTSource(kernel, signature, constants)
            binary = compiler.compile(source, target=GPUTarget("cuda", capability, 32))
            assert len(binary.asm["cubin"]) > 1000


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("size", [(7, 5), (480, 854), (1080, 1920)])
def test_the_kernels_on_this_gpu_equal_the_reference(size: tuple[int, int]) -> None:
    from vostrack.refine.spn import reference, triton_kernel

    x = torch.randn(2, 2, *size, device="cuda")
    gates = torch.randn(1, 2, 4, 3, *size, device="cuda") / 3
    y, states = reference.forward(x, gates, range(4), True)
    torch.testing.assert_close(
        triton_kernel.forward(x, gates, range(4), True), (y, states), rtol=1e-4, atol=1e-4
    )
    torch.testing.assert_close(
        triton_kernel.backward(x, x, gates, states, range(4)),
        reference.backward(x, x, gates, states, range(4)),
        rtol=1e-3,
        atol=1e-3,
    )
