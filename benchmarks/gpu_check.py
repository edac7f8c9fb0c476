"""Check vostrack on a GPU: values, times, memory, waits, the kernel and training, in 8 minutes.

Every part is tried, and what fails is in the record with its reason; the exit status is then 1.

* presets: scores on the GPU against those on the CPU, from the same clip and seed; seconds of the
  start and of a frame with one object and with four; peak memory; how often a frame makes the host
  wait for the device; bfloat16 against float32.
* propagation: the Triton kernel against the loop over lines, values, gradients and times.
* training: three steps of each network, seconds of the last one, and peak memory.

    python benchmarks/gpu_check.py [--json FILE]

``--device cpu --quick`` runs the same code without a GPU, on a few small frames: a check of this
script, not of a machine.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import spn
import torch
from record import begin_record, benchmark_parser, finish_record

from vostrack.build import build_tracker
from vostrack.compute.precision import Precision, has_fast_bf16
from vostrack.datasets.synthetic import SyntheticScene, render_clip
from vostrack.models.foreground import NetworkConfig
from vostrack.models.target_net_builder import build_target_net
from vostrack.models.weights import initialise
from vostrack.online_finetune.target.recipe import TargetRecipe, TargetTraining
from vostrack.online_finetune.target.training_clip import TrainingClip
from vostrack.presets import TrackerOptions
from vostrack.refine.spn import SpatialPropagationNetwork, SpnConfig
from vostrack.refine.spn.recipe import SpnRecipe
from vostrack.refine.spn.training import SpnTraining
from vostrack.refine.spn.training_images import TrainingImage
from vostrack.training.foreground import ForegroundRecipe, ForegroundTraining
from vostrack.training.loop import LoopConfig, train

PRESETS = ("fast", "balanced", "best", "finetune")
PACKAGES = ("torch", "torchvision", "triton", "numpy")
# Least share of pixels with the same label on both devices, and in both precisions.
_AGREEMENT = 0.98
_BUDGET = 8 * 60


def options_of(preset: str, precision: Precision, steps: int | None) -> TrackerOptions:
    """Return the options of a run; ``steps`` shortens fine-tuning."""
    if steps is None or preset == "fast":
        return TrackerOptions(precision=precision)
    foreground = steps if preset == "finetune" else None
    return TrackerOptions(precision=precision, object_steps=steps, foreground_steps=foreground)


def follow(preset: str, device: str, options: TrackerOptions, clip: Any) -> dict[str, Any]:
    """Track a clip; return labels, scores, seconds, peak memory and waits."""
    frames, labels = clip
    on_gpu = device != "cpu"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    tracker = build_tracker(preset, device=device, options=options)
    begin = time.perf_counter()
    tracker.start(frames[0], labels[0])
    start = time.perf_counter() - begin
    results, seconds = [], []
    for frame in frames[1:]:
        begin = time.perf_counter()
        results.append(tracker.step(frame))
        seconds.append(time.perf_counter() - begin)
    with counted_waits(on_gpu) as waits:
        tracker.step(frames[-1])
    return {
        "labels": np.stack([result.labels for result in results]),
        "start_s": round(start, 3),
        # The first frames choose kernels for sizes that are new.
        "frame_s": round(statistics.median(seconds[len(seconds) // 2 :]), 4),
        "peak_mb": round(torch.cuda.max_memory_allocated() / 2**20) if on_gpu else None,
        "waits_per_frame": waits[0] if on_gpu else None,
    }


@contextmanager
def counted_waits(on_gpu: bool) -> Iterator[list[int]]:
    """Count how often the host waits for the device, as torch reports it."""
    count = [0]
    if not on_gpu:
        yield count
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield count
        finally:
            torch.cuda.set_sync_debug_mode("default")
    count[0] = sum("synchroniz" in str(warning.message) for warning in caught)


def agreement(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Return the share of pixels with the same label."""
    return round(float((one["labels"] == other["labels"]).mean()), 5)


def check_preset(preset: str, device: str, *, quick: bool) -> dict[str, Any]:
    """Compare one preset between the devices and the precisions, and time it."""
    size, frames = ((48, 64), 4) if quick else ((240, 427), 8)
    small = render_clip(SyntheticScene(size=size, frames=frames, objects=2, seed=3))
    short = partial(follow, preset, clip=small)
    steps = 1 if quick else 5
    full = options_of(preset, "fp32", steps)
    there, here = short(device, full), short("cpu", full)
    found: dict[str, Any] = {"same_as_cpu": agreement(there, here)}
    if quick or has_fast_bf16(torch.device(device)):
        found["bf16_as_fp32"] = agreement(short(device, options_of(preset, "bf16", steps)), there)
    for objects in (1, 2) if quick else (1, 4):
        scene = SyntheticScene(
            size=size if quick else (480, 854), frames=4 if quick else 24, objects=objects, seed=3
        )
        options = options_of(preset, "auto", 1 if quick else None)
        timed = follow(preset, device, options, render_clip(scene))
        del timed["labels"]
        found[f"{objects}_objects"] = timed
    low = {k: v for k, v in found.items() if isinstance(v, float) and v < _AGREEMENT}
    if low and not quick:
        raise ValueError(f"expected at least {_AGREEMENT} of the pixels to agree, got {low}")
    return found


def check_kernel(device: str, *, quick: bool) -> dict[str, Any]:
    """Compare the propagation with the loop over lines, and time it."""
    cases = [spn.smaller(spn.smaller(spn.CASES[1]))] if quick else [*spn.CASES[:3]]
    impl: Any = "numba" if device == "cpu" else "triton"
    repeats = 2 if quick else spn.REPEATS
    on = torch.device(device)
    return {case.name: spn.measure(case, impl, on, repeats) for case in cases}


def target_training(device: str, side: int) -> TargetTraining:
    """Return a training of the target network on one synthetic clip."""
    frames, labels = render_clip(SyntheticScene(size=(side, side), frames=4, objects=2, seed=1))
    clip = TrainingClip(
        images=torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous(),
        labels=torch.from_numpy(labels),
        lost=False,
        resumed=False,
        seed=1,
    )

    class Clips:
        def draw(self, generator: torch.Generator, length: int) -> TrainingClip:
            return clip

    recipe = TargetRecipe(batch=1, pixels=(side * side,), clip_length=(3, 3))
    return TargetTraining(build_target_net().to(device), Clips(), recipe, 3)


def _picture(side: int) -> tuple[torch.Tensor, torch.Tensor]:
    frames, labels = render_clip(SyntheticScene(size=(side, side), frames=1, objects=1, seed=1))
    return torch.from_numpy(frames[0]).permute(2, 0, 1), torch.from_numpy(labels[0]).long()


def foreground_training(device: str, side: int) -> ForegroundTraining:
    """Return a training of the foreground network on one synthetic frame."""
    network = initialise(NetworkConfig("resnet18", (4, 8, 16), "topdown", 64, "folded"), "none")
    image, labels = _picture(2 * side)
    samples = [(image, (labels > 0).long())]
    return ForegroundTraining(network.to(device), samples, ForegroundRecipe(batch=4, side=side))


def spn_training(device: str, side: int) -> SpnTraining:
    """Return a training of the paper's propagation network on one synthetic frame."""
    network = SpatialPropagationNetwork(SpnConfig(vgg_weights=None)).to(device)
    image, labels = _picture(2 * side)
    sources = [(1.0, [TrainingImage(image, labels, False)])]
    return SpnTraining(network, sources, SpnRecipe(batch=2, side=side))


def check_training(build: Callable[[str, int], Any], device: str, *, quick: bool) -> dict[str, Any]:
    """Train three steps; return the losses, the seconds of the last step and peak memory."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    recipe = build(device, 32 if quick else 256)
    losses: list[float] = []
    times = [time.perf_counter()]

    def note(_done: int, loss: float) -> None:
        losses.append(round(loss, 4))
        times.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        config = LoopConfig(steps=3, checkpoint_every=9)
        train(recipe.network, recipe, config, Path(folder), on_step=note)
    peak = None if device == "cpu" else round(torch.cuda.max_memory_allocated() / 2**20)
    return {"losses": losses, "step_s": round(times[-1] - times[-2], 3), "peak_mb": peak}


def parts(device: str, *, quick: bool) -> dict[str, Callable[[], dict[str, Any]]]:
    """Return what is checked, by name."""
    presets = PRESETS[:1] if quick else PRESETS
    trainings = (target_training, foreground_training, spn_training)
    return {
        **{name: partial(check_preset, name, device, quick=quick) for name in presets},
        "propagation": partial(check_kernel, device, quick=quick),
        **{
            build.__name__.replace("_", " "): partial(check_training, build, device, quick=quick)
            for build in trainings
        },
    }


def attempt(check: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run one part; an error becomes part of the record."""
    begin = time.perf_counter()
    try:
        found = check()
    except Exception as error:  # whatever the driver, the compiler or the device says
        text = str(error).strip().splitlines()
        found = {"failed": f"{type(error).__name__}: {text[0] if text else ''}"}
    return {**found, "seconds": round(time.perf_counter() - begin, 1)}


def check_arguments(arguments: argparse.Namespace) -> str | None:
    """Return why the check cannot run, or None."""
    if arguments.device == "cpu":
        return None if arguments.quick else "--device cpu checks this script only: add --quick"
    if not torch.cuda.is_available():
        return (
            "torch sees no CUDA device; install a build of torch for your GPU, or check the script "
            "itself with --device cpu --quick"
        )
    return None


def main() -> int:
    """Run all parts, and return 0, 1 where one failed, or 2 where none can run."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or cpu with --quick")
    parser.add_argument("--quick", action="store_true", help="few small frames")
    arguments = parser.parse_args()
    obstacle = check_arguments(arguments)
    if obstacle:
        print(f"error: {obstacle}", file=sys.stderr)
        return 2
    device = arguments.device
    name = None if device == "cpu" else torch.cuda.get_device_name(device)
    record = begin_record("a check of this GPU", PACKAGES, name)
    begin = time.monotonic()
    for part, check in parts(device, quick=arguments.quick).items():
        spent = time.monotonic() - begin
        record[part] = attempt(check) if spent < _BUDGET else {"failed": "no time was left"}
        print(f"{part}: {record[part].get('failed', 'done')}", file=sys.stderr, flush=True)
    record["failed"] = [k for k, v in record.items() if isinstance(v, dict) and "failed" in v]
    finish_record(record, arguments.json)
    return 1 if record["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
