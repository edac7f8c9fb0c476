"""Time spatial propagation against the loop over lines in plain PyTorch, forward and backward.

The baseline is ``vostrack.refine.spn.reference``: one step per line, vectorised over everything
else, its backward by autograd. Both run on the same tensors, turn by turn, in one process, with the
same number of threads, and must agree before anything is timed. Where a CUDA device is present
the Triton kernel is timed there against the same loop, and forward against ``spn_per_line``, the
published way of one launch per line; bytes per second stand beside those of a copy.

    python benchmarks/spn.py [--json FILE] [--quick]
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from record import begin_record, benchmark_parser, finish_record, spread, time_alternately
from torch import Tensor

from vostrack.refine.spn import Impl, normalize_gates, propagate, reference

REPEATS = 11
PER_LINE = "one launch per line"


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
GPU_CASES = (
    *CASES,
    Case("32 channels at 480p", (1, 32, 480, 854), 32),
    Case("1 object at 1080p, shared gates", (1, 1, 1080, 1920), 1),
    Case("10 objects at 1080p, shared gates", (10, 1, 1080, 1920), 1),
    Case("32 channels at 1080p", (1, 32, 1080, 1920), 32),
)


def smaller(case: Case) -> Case:
    """Return the case at an eighth of its height and width."""
    objects, channels, height, width = case.shape
    return replace(case, shape=(objects, channels, height // 8, width // 8))


def measure(case: Case, impl: Impl, device: torch.device, repeats: int) -> dict[str, Any]:
    """Time one case, forward without gradients and backward alone."""
    torch.manual_seed(0)
    height, width = case.shape[-2:]
    x = torch.rand(case.shape, device=device, requires_grad=True)
    raw = torch.randn(1, case.gate_channels, 4, 3, height, width, device=device)
    gates = normalize_gates(raw).requires_grad_()
    grad = torch.randn_like(x)
    compare_gradients(x, gates, grad, impl)
    # The graph of the loop takes gigabytes, and is gone with the frame of this call.
    backward = measure_backward(x, gates, grad, impl, repeats)
    with torch.no_grad():
        candidates: dict[str, Callable[[], Tensor]] = {
            "reference": lambda: propagate(x, gates, "reference"),
            impl: lambda: propagate(x, gates, impl),
        }
        if impl == "triton":
            from spn_per_line import propagate_per_line

            candidates[PER_LINE] = lambda: propagate_per_line(x.detach(), gates.detach())
            expected = propagate(x, gates, "reference")
            torch.testing.assert_close(candidates[PER_LINE](), expected, rtol=1e-3, atol=1e-4)
        forward = timed(candidates, device, repeats)
    result: dict[str, Any] = {
        "case": case.name,
        "shape": case.shape,
        "gates": tuple(gates.shape),
        "forward": compare(forward, impl),
        "backward": compare(backward, impl),
    }
    if impl == "triton":
        # What has to be read and written at least once, in float32; backward also reads the
        # gradient and the states of the four directions, and writes the gradients.
        least = {
            "forward": 4 * (gates.numel() + 2 * x.numel()),
            "backward": 4 * (2 * gates.numel() + (3 + 4) * x.numel()),
        }
        for name, times in (("forward", forward), ("backward", backward)):
            seconds = statistics.median(times[impl])
            result[name]["gigabytes_per_second"] = round(least[name] / seconds / 1e9, 1)
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


def measure_backward(
    x: Tensor, gates: Tensor, grad: Tensor, impl: Impl, repeats: int
) -> dict[str, list[float]]:
    """Compare values with the loop, then time both backward passes."""
    loop, _ = reference.forward(x, gates, range(4), keep_states=False)
    fast = propagate(x, gates, impl)
    torch.testing.assert_close(fast, loop, rtol=1e-3, atol=1e-4)

    def back(y: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(y, (x, gates), grad, retain_graph=True)

    return timed({"reference": lambda: back(loop), impl: lambda: back(fast)}, x.device, repeats)


def timed(
    candidates: Mapping[str, Callable[[], object]], device: torch.device, repeats: int
) -> dict[str, list[float]]:
    """Time the candidates, on a GPU until it is done."""

    def wait(call: Callable[[], object]) -> Callable[[], object]:
        def finished() -> None:
            call()
            torch.cuda.synchronize(device)

        return finished if device.type == "cuda" else call

    return time_alternately({n: wait(c) for n, c in candidates.items()}, repeats=repeats)


def compare(times: dict[str, list[float]], impl: str) -> dict[str, Any]:
    """Summarize all, and how many times the median of ``impl`` goes into that of each other."""
    own = statistics.median(times[impl])
    summary: dict[str, Any] = {name: spread(values) for name, values in times.items()}
    summary["ratio"] = {
        name: round(statistics.median(values) / own, 2)
        for name, values in times.items()
        if name != impl
    }
    return summary


def copy_bandwidth(device: torch.device, repeats: int, size: int = 2**28) -> float:
    """Return gigabytes per second, read and written, of a large copy of float32 numbers."""
    source = torch.zeros(size, device=device)
    target = torch.empty_like(source)
    times = timed({"copy": lambda: target.copy_(source)}, device, repeats)["copy"]
    return 8 * source.numel() / statistics.median(times) / 1e9


def main() -> None:
    """Run every case and write the record."""
    parser = benchmark_parser(__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="an eighth of each side, 2 repeats: to see that every part runs, not for figures",
    )
    arguments = parser.parse_args()
    repeats = 2 if arguments.quick else REPEATS
    cases, gpu_cases = (
        [smaller(case) if arguments.quick else case for case in cases]
        for cases in (CASES, GPU_CASES)
    )
    record = begin_record(
        "spatial propagation, four directions, float32", ("torch", "numba", "numpy", "triton")
    )
    record["quick"] = arguments.quick
    record["cpu"] = [measure(case, "numba", torch.device("cpu"), repeats) for case in cases]
    if torch.cuda.is_available():
        device = torch.device("cuda")
        record["gpu"] = {
            "device": torch.cuda.get_device_name(device),
            "copy_gigabytes_per_second": copy_bandwidth(device, repeats),
            "cases": [measure(case, "triton", device, repeats) for case in gpu_cases],
        }
    finish_record(record, arguments.json)


if __name__ == "__main__":
    main()
