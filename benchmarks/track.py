"""Time the tracker: fine-tuning, each stage of a frame, and peak memory.

A synthetic clip (``vostrack.datasets.synthetic``) is tracked at several sizes and numbers of
objects, each in a separate process, so that peak memory is separate as well. The baseline is the
preset ``finetune``, one whole network fitted per object, timed on the same clip for the first case
of each size.

    python benchmarks/track.py [--preset balanced] [--sizes 480] [--objects 1 4] [--json FILE]

Frame times of different numbers of objects are also compared in one process, frame by frame in
turn (``in_turn``), since the speed of a shared machine changes from minute to minute.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import statistics
from typing import Any

from record import begin_record, benchmark_parser, finish_record

SIZES = {240: (240, 427), 480: (480, 854), 720: (720, 1280), 1080: (1080, 1920)}
OBJECTS = (1, 2, 4, 8)
# Kernels are prepared for each new size of window: a clip meets most of them in its first second.
FRAMES = 45
_WARM_UP = 15


def measure(preset: str, size: tuple[int, int], objects: int, device: str, threads: int) -> Any:
    """Track one clip, and return its times and its peak memory."""
    import torch

    from vostrack.build import build_tracker
    from vostrack.datasets.synthetic import SyntheticScene, render_clip

    torch.set_num_threads(threads)
    scene = SyntheticScene(size=size, frames=FRAMES, objects=objects, seed=3)
    frames, labels = render_clip(scene)
    tracker = build_tracker(preset, device=device)
    first = tracker.start(frames[0], labels[0])
    stages: dict[str, list[float]] = {}
    totals = []
    for frame in frames[1:]:
        timings = tracker.step(frame).timings
        totals.append(sum(timings.values()))
        for stage, seconds in timings.items():
            stages.setdefault(stage, []).append(seconds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    low, median, high = statistics.quantiles(totals[_WARM_UP:], n=4)
    return {
        "preset": preset,
        "height": size[0],
        "width": size[1],
        "objects": len(first.ids),
        "fine_tuning_s": round(first.timings["fine-tuning"], 3),
        "frame_s": {
            "median": round(median, 4),
            "iqr_low": round(low, 4),
            "iqr_high": round(high, 4),
            "repeats": len(totals) - _WARM_UP,
        },
        "stages_s": {k: round(statistics.median(v[_WARM_UP:]), 4) for k, v in stages.items()},
        "peak_rss_mb": round(peak),
        "peak_gpu_mb": round(torch.cuda.max_memory_allocated() / 2**20)
        if torch.cuda.is_available()
        else None,
    }


def measure_in_turn(
    preset: str, size: tuple[int, int], objects: tuple[int, ...], device: str, threads: int
) -> Any:
    """Track clips of each number of objects in turn, frame by frame; return ratios to the first."""
    import torch

    from vostrack import TrackerOptions, build_tracker
    from vostrack.datasets.synthetic import SyntheticScene, render_clip

    torch.set_num_threads(threads)
    pairs = []
    for count in objects:
        clip, labels = render_clip(SyntheticScene(size=size, frames=FRAMES, objects=count, seed=3))
        tracker = build_tracker(preset, device=device, options=TrackerOptions(object_steps=0))
        tracker.start(clip[0], labels[0])
        pairs.append((tracker, clip))
    seconds: list[list[float]] = [[] for _ in pairs]
    for index in range(1, FRAMES):
        for (tracker, clip), own in zip(pairs, seconds, strict=True):
            own.append(sum(tracker.step(clip[index]).timings.values()))
    medians = [statistics.median(own[_WARM_UP:]) for own in seconds]
    return {
        str(count): {
            "frame_s": round(median, 4),
            "ratio_of_medians": round(median / medians[0], 2),
            "median_of_ratios": round(
                statistics.median(
                    b / a for a, b in zip(seconds[0][_WARM_UP:], own[_WARM_UP:], strict=True)
                ),
                2,
            ),
        }
        for count, median, own in zip(objects, medians, seconds, strict=True)
    }


def apart(function: Any, *arguments: Any) -> Any:
    """Call a function in a new process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def main() -> None:
    """Measure what the arguments ask for."""
    parser = benchmark_parser(__doc__, threads=2)
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--baseline", default="finetune", help="'' for none")
    parser.add_argument("--sizes", type=int, nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--objects", type=int, nargs="+", default=list(OBJECTS))
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    packages = ("torch", "torchvision", "numpy", "opencv-python")
    record = begin_record("tracking: seconds of fine-tuning and per frame", packages)
    record["threads"] = arguments.threads
    cases = []
    for height in arguments.sizes:
        for objects in arguments.objects:
            options = (SIZES[height], objects, arguments.device, arguments.threads)
            case = {"ours": apart(measure, arguments.preset, *options)}
            if arguments.baseline and objects == arguments.objects[0]:
                case["baseline"] = apart(measure, arguments.baseline, *options)
                case["ratio"] = {
                    "fine_tuning": round(
                        case["baseline"]["fine_tuning_s"] / case["ours"]["fine_tuning_s"], 2
                    ),
                    "frame": round(
                        case["baseline"]["frame_s"]["median"] / case["ours"]["frame_s"]["median"],
                        2,
                    ),
                }
            print(json.dumps(case["ours"]), flush=True)
            cases.append(case)
    turns = {}
    for height in arguments.sizes if len(arguments.objects) > 1 else ():
        turns[str(height)] = apart(
            measure_in_turn,
            arguments.preset,
            SIZES[height],
            tuple(arguments.objects),
            arguments.device,
            arguments.threads,
        )
        print(json.dumps({"height": height, "in_turn": turns[str(height)]}), flush=True)
    finish_record(record | {"cases": cases, "in_turn": turns}, arguments.json)


if __name__ == "__main__":
    main()
