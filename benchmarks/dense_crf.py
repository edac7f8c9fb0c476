"""Time the dense CRF at 480 x 854: building the lattices, and five iterations of mean field.

Before anything is timed the filter must fulfil the adjoint identity, and on a CUDA device agree
with the CPU. The frame is drawn, with as many lattice vertices as a textured photograph, unless
one is given. The cost is plotted over the number of labels and of iterations; what training keeps
for its backward pass is counted at 500 x 500 with 21 labels.

    python benchmarks/dense_crf.py [--json FILE] [--plot FILE.svg] [--image FILE]
        [--size H W] [--training-side PIXELS] [--repeats N]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import begin_record, benchmark_parser, finish_record, spread, time_alternately
from torch import Tensor

from vostrack.refine.dense_crf import (
    GaussianKernel,
    KernelConfig,
    LatticeFilter,
    MeanField,
    bilateral_kernel,
    image_kernels,
)
from vostrack.video.images import read_image

SIZE = (480, 854)
LABELS = (2, 5, 21)
ITERATIONS = (1, 2, 5, 10)
REPEATS = 5


def drawn_image(height: int, width: int) -> Tensor:
    """A frame (3, H, W) in [0, 1]: smooth shading, hard edges, and texture."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    shading = np.stack([x / width, y / height, (x + y) / (height + width)]) * 0.5
    for _ in range(40):
        cy, cx, radius = rng.integers(0, (height, width, height // 4))
        inside = (y - cy) ** 2 + (x - cx) ** 2 < radius**2
        shading[:, inside] = shading[:, inside] * 0.4 + rng.random((3, 1)) * 0.5
    texture = rng.normal(scale=0.02, size=shading.shape)
    return torch.from_numpy((shading + texture).clip(0, 1).astype(np.float32))


def frame_of(path: Path | None, size: Sequence[int]) -> Tensor:
    """The frame to time on (3, H, W)."""
    if path is None:
        return drawn_image(*size)
    return torch.from_numpy(read_image(path).copy()).permute(2, 0, 1).float() / 255


def check_adjoint(device: torch.device) -> None:
    """Compare <K x, y> with <x, K' y> in double precision."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(5, 4001, dtype=torch.float64, generator=generator).to(device)
    x, y = torch.randn(2, 4001, 3, dtype=torch.float64, generator=generator).to(device)
    operator = LatticeFilter(features)
    forward, backward = (operator(x) * y).sum(), (x * operator(y, transpose=True)).sum()
    torch.testing.assert_close(forward, backward, rtol=1e-10, atol=1e-10)


def check_agreement(image: Tensor, device: torch.device) -> float:
    """Return the largest difference in probability between the device and the CPU."""
    logits = drawn_logits(5, *image.shape[1:])
    results = []
    for where in (torch.device("cpu"), device):
        kernels = image_kernels(image.to(where), KernelConfig())
        result = MeanField((1.0, 1.0))(logits.to(where), kernels).logits
        results.append(torch.softmax(result, 0).detach().cpu())
    difference = (results[0] - results[1]).abs()
    # A pixel on the border of two simplices may fall into either.
    assert float(difference.mean()) < 1e-4, "the device disagrees with the CPU"
    return float(difference.max())


def drawn_logits(labels: int, height: int, width: int) -> Tensor:
    """Class scores (L, H, W) in patches."""
    generator = torch.Generator().manual_seed(labels)
    coarse = torch.randn(1, labels, 12, 20, generator=generator) * 4
    full: Tensor = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return full[0]


def timed(call: Callable[[], object], device: torch.device, repeats: int = REPEATS) -> list[float]:
    """Seconds of each repeat, on a GPU until it is done."""

    def finished() -> None:
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return time_alternately({"": finished}, repeats=repeats, warm_up=1)[""]


@torch.inference_mode()
def measure(image: Tensor, device: torch.device, repeats: int) -> dict[str, Any]:
    """Time the builds, and inference over labels and over iterations."""
    check_adjoint(device)
    config = KernelConfig()
    image = image.to(device)
    height, width = image.shape[1:]
    sigmas = (config.bilateral_sigma, config.colour_sigma)

    def build_spatial() -> GaussianKernel:
        axes = (torch.arange(n, device=device).float() for n in (height, width))
        y, x = torch.meshgrid(*axes, indexing="ij")
        return GaussianKernel(torch.stack([x.ravel(), y.ravel()]) / config.spatial_sigma)

    kernels = image_kernels(image, config)
    record: dict[str, Any] = {
        "size": [height, width],
        "vertices": {"spatial": kernels[0].vertices, "bilateral": kernels[1].vertices},
        "build_spatial_once_per_size": spread(timed(build_spatial, device, repeats)),
        "build_bilateral": spread(
            timed(partial(bilateral_kernel, image, *sigmas), device, repeats)
        ),
    }
    for labels in LABELS:
        logits = drawn_logits(labels, height, width).to(device)
        counts = ITERATIONS if labels == max(LABELS) else (5,)
        for iterations in counts:
            crf = MeanField((1.0, 1.0), iterations=iterations).to(device)
            name = f"{labels} labels, {iterations} iterations"
            record[name] = spread(timed(partial(crf, logits, kernels), device, repeats))
    return record


def saved_for_backward(device: torch.device, side: int) -> dict[str, float]:
    """Count what a training step with 21 labels and 5 iterations keeps on a square image."""
    image = drawn_image(side, side).to(device)
    logits = drawn_logits(21, side, side).to(device).requires_grad_()
    kernels = image_kernels(image, KernelConfig())
    crf = MeanField((1.0, 1.0), 21).to(device)
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = crf(logits, kernels).logits.logsumexp(0).mean()
    loss.backward()
    result: dict[str, float] = {
        "side": side,
        "saved_megabytes": round(sum(kept.values()) / 2**20, 1),
    }
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device)
        result["peak_megabytes"] = round(peak / 2**20, 1)
    return result


def plot(record: dict[str, Any], path: Path) -> None:
    """Draw milliseconds over labels (5 iterations) and over iterations (21 labels) as SVG."""
    panels: list[str] = []
    for name in ("cpu", "gpu"):
        section = record.get(name)
        if section is None:
            continue
        for axis, counts, pattern in (
            ("labels", LABELS, "{} labels, 5 iterations"),
            ("iterations", ITERATIONS, "21 labels, {} iterations"),
        ):
            values = [section[pattern.format(count)]["median_ms"] for count in counts]
            panels.append(panel(f"{name}: ms over {axis}", counts, values, 260 * len(panels)))
    text = "".join(panels)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{260 * len(panels)}" height="180" '
        f'font-family="sans-serif" font-size="11">{text}</svg>\n',
        encoding="utf-8",
    )


def panel(title: str, counts: Sequence[int], values: Sequence[float], left: int) -> str:
    """One curve from the origin, with the value at each point."""
    points = [
        (left + 30 + 190 * count / max(counts), 150 - 110 * value / max(values))
        for count, value in zip(counts, values, strict=True)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    marks = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/><text x="{x:.1f}" y="{y - 8:.1f}" '
        f'text-anchor="middle">{value:.0f}</text><text x="{x:.1f}" y="166" '
        f'text-anchor="middle">{count}</text>'
        for (x, y), value, count in zip(points, values, counts, strict=True)
    )
    axes = f"M{left + 30},30V150H{left + 240}"
    return (
        f'<text x="{left + 30}" y="16">{title}</text><path d="{axes}" fill="none" stroke="gray"/>'
        f'<polyline points="{line}" fill="none" stroke="black"/>{marks}'
    )


def main() -> None:
    """Measure, and write the record."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--plot", metavar="FILE", type=Path, help="write SVG curves here")
    parser.add_argument("--image", metavar="FILE", type=Path, help="time on this frame")
    parser.add_argument("--size", nargs=2, type=int, default=SIZE, metavar=("H", "W"))
    parser.add_argument("--training-side", type=int, default=500, metavar="PIXELS")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="at least 2")
    arguments = parser.parse_args()
    image = frame_of(arguments.image, arguments.size)
    cpu = torch.device("cpu")
    record = begin_record("dense CRF, spatial and bilateral kernel, float32", ("torch", "numpy"))
    record["cpu"] = measure(image, cpu, arguments.repeats)
    record["training_21_labels"] = saved_for_backward(cpu, arguments.training_side)
    if torch.cuda.is_available():
        device = torch.device("cuda")
        record["gpu"] = {
            "device": torch.cuda.get_device_name(device),
            "largest_difference_to_cpu": check_agreement(image, device),
            **measure(image, device, arguments.repeats),
            "training_21_labels": saved_for_backward(device, arguments.training_side),
        }
    if arguments.plot:
        plot(record, arguments.plot)
    finish_record(record, arguments.json)


if __name__ == "__main__":
    main()
