"""Time spatial propagation against the loop over lines in plain PyTorch, forward and backward.

The baseline is ``vostrack.refine.spn.reference``: one step per line, vectorised over everything
else, its backward by autograd. Both run on the same tensors, turn by turn, in one process, with the
same number of threads, and must agree before anything is timed. Where a CUDA device is present
the Triton kernel is timed there against the same loop, in bytes per second too.

    python benchmarks/spn.py [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from record import environment, spread, time_alternately, write_record
from torch import Tensor

from vostrack.refine.spn import Impl, normalize_gates, propagate, reference

REPEATS = 11


@dataclass(frozen=True)
class Case:
    """One size: N objects, C channels, with one set of gates for all objects, or for all channels.

    Attributes:
        name: what it stands for.
        shape: of the map, (N, C, H, W).
        gate_channels: C, or 1 where all channels share their gates.
    """

    name: str
    shape: tuple[int, int, int, int]
    gate_channels: int


CASES = (
    Case("32 channels, the network of the paper at half resolution", (1, 32, 240, 427), 32),
    Case("1 object, shared gates", (1, 1, 480, 854), 1),
    Case("3 objects, shared gates", (3, 1, 480, 854), 1),
    Case("10 objects, shared gates", (10, 1, 480, 854), 1),
)
GPU_CASES = (*CASES, Case("32 channels at 1080p", (1, 32, 1080, 1920), 32))


def measure(case: Case, impl: Impl, device: torch.device) -> dict[str, Any]:
    """Time one case, forward without gradients and backward alone."""
    torch.manual_seed(0)
    height, width = case.shape[-2:]
    x = torch.rand(case.shape, device=device, requires_grad=True)
    raw = torch.randn(1, case.gate_channels, 4, 3, height, width, device=device)
    gates = normalize_gates(raw).requires_grad_()
    grad = torch.randn_like(x)
    compare_gradients(x, gates, grad, impl)
    # The graph of the loop takes gigabytes, and is gone with the frame of this call.
    backward = measure_backward(x, gates, grad, impl)
    with torch.no_grad():
        forward = timed(
            {
                "reference": lambda: propagate(x, gates, "reference"),
                impl: lambda: propagate(x, gates, impl),
            },
            device,
        )
    result: dict[str, Any] = {
        "case": case.name,
        "shape": case.shape,
        "gates": tuple(gates.shape),
        "forward": compare(forward, impl),
        "backward": compare(backward, impl),
    }
    if device.type == "cuda":
        moved = 4 * (gates.numel() + 2 * x.numel())
        result["forward"]["gigabytes_per_second"] = moved / statistics.median(forward[impl]) / 1e9
    return result


def compare_gradients(x: Tensor, gates: Tensor, grad: Tensor, impl: Impl) -> None:
    """Compare gradients with those of the loop.

    In double precision: in single precision two directions are equal up to rounding at a few
    pixels in a million, and either may win the maximum there.
    """
    x, gates = (t.detach().double().requires_grad_() for t in (x, gates))
    loop, _ = reference.forward(x, gates, range(4), keep_states=False)
    expected = torch.autograd.grad(loop, (x, gates), grad.double())
    del loop
    actual = torch.autograd.grad(propagate(x, gates, impl), (x, gates), grad.double())
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-8)


def measure_backward(x: Tensor, gates: Tensor, grad: Tensor, impl: Impl) -> dict[str, list[float]]:
    """Compare values with the loop, then time both backward passes."""
    loop, _ = reference.forward(x, gates, range(4), keep_states=False)
    fast = propagate(x, gates, impl)
    torch.testing.assert_close(fast, loop, rtol=1e-3, atol=1e-4)

    def back(y: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(y, (x, gates), grad, retain_graph=True)

    return timed({"reference": lambda: back(loop), impl: lambda: back(fast)}, x.device)


def timed(
    candidates: dict[str, Callable[[], object]], device: torch.device
) -> dict[str, list[float]]:
    """Time the candidates, on a GPU until it is done."""

    def wait(call: Callable[[], object]) -> Callable[[], object]:
        def finished() -> None:
            call()
            torch.cuda.synchronize(device)

        return finished if device.type == "cuda" else call

    return time_alternately({n: wait(c) for n, c in candidates.items()}, repeats=REPEATS)


def compare(times: dict[str, list[float]], impl: str) -> dict[str, Any]:
    """Summarize both, and the ratio of their medians."""
    ratio = statistics.median(times["reference"]) / statistics.median(times[impl])
    return {name: spread(values) for name, values in times.items()} | {"ratio": round(ratio, 2)}


def copy_bandwidth(device: torch.device) -> float:
    """Return gigabytes per second, read and written, of a large copy."""
    source = torch.empty(2**28, device=device)
    target = torch.empty_like(source)
    times = timed({"copy": lambda: target.copy_(source)}, device)["copy"]
    return 8 * source.numel() / statistics.median(times) / 1e9


def main() -> None:
    """Run every case and write the record."""
    parser = argparse.ArgumentParser(description="Time spatial propagation.")
    parser.add_argument("--json", metavar="FILE", help="also write the record here")
    arguments = parser.parse_args()
    record: dict[str, Any] = {
        "benchmark": "spatial propagation, four directions, float32",
        "environment": environment(("torch", "numba", "numpy", "triton")),
        "threads": torch.get_num_threads(),
        "cpu": [measure(case, "numba", torch.device("cpu")) for case in CASES],
    }
    if torch.cuda.is_available():
        device = torch.device("cuda")
        record["gpu"] = {
            "device": torch.cuda.get_device_name(device),
            "copy_gigabytes_per_second": copy_bandwidth(device),
            "cases": [measure(case, "triton", device) for case in GPU_CASES],
        }
    if arguments.json:
        write_record(arguments.json, record)
    else:
        print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
