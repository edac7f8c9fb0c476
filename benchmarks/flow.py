"""Measure what masks along the optical flow gain and cost, and how well a frame is copied.

Two trackers, without the flow and with it, follow each sequence in turn. A third one is shown the
first frame, whose mask it was given, as if it was the next. Reported are J and F of this copy, J&F
of the other frames, and CPU seconds per step.

    python benchmarks/flow.py --root DAVIS --set train --sequences NAME ... [--backwards]
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import torch
from record import (
    add_davis_arguments,
    begin_record,
    benchmark_parser,
    finish_record,
    open_davis_arguments,
)

from vostrack.build import build_tracker
from vostrack.datasets.annotated_frames import read_annotation
from vostrack.eval.frame_measures import frame_scores
from vostrack.presets import TrackerOptions
from vostrack.tracking.tracker import Tracker
from vostrack.video.images import read_image


def tracker_of(arguments: Any, flow: bool) -> Tracker:
    """Build a tracker of the preset."""
    options = TrackerOptions(seed=arguments.seed, flow=flow)
    return build_tracker(arguments.preset, device="cpu", weights=arguments.weights, options=options)


def measure(sequence: Any, arguments: Any) -> dict[str, Any]:
    """Follow a sequence in both ways, frame by frame in turn."""
    pairs = list(zip(sequence.frames, sequence.annotations, strict=True))
    pairs = pairs[::-1] if arguments.backwards else pairs
    first = read_image(pairs[0][0])
    mask = read_annotation(pairs[0][1], sequence.semantics)
    count = int(mask[mask < 255].max())
    trackers = [tracker_of(arguments, flow) for flow in (False, True)]
    for tracker in trackers:
        tracker.start(first, mask)
    copier = tracker_of(arguments, False)
    copier.load_state(trackers[0].start_state(), None)
    copy = frame_scores(copier.step(first).labels, mask, count)
    found: list[list[float]] = [[], []]
    seconds: list[list[float]] = [[], []]
    for number, (frame, annotation) in enumerate(pairs[1:]):
        image, truth = read_image(frame), read_annotation(annotation, sequence.semantics)
        for way in (0, 1) if number % 2 else (1, 0):
            began = time.process_time()
            labels = trackers[way].step(image).labels
            seconds[way].append(time.process_time() - began)
            scores = frame_scores(labels, truth, count)
            found[way].append(float(np.mean(scores.j) + np.mean(scores.f)) / 2)
    ratios = [b / a for a, b in zip(*seconds, strict=True)]
    return {
        "copy": [round(float(np.mean(values)), 4) for values in (copy.j, copy.f)],
        "J&F": [round(float(np.mean(values)), 4) for values in found],
        "seconds": [round(statistics.median(values), 4) for values in seconds],
        "ratio": round(statistics.median(ratios), 3),
    }


def main() -> None:
    """Track each sequence without the flow and with it."""
    parser = benchmark_parser(__doc__)
    add_davis_arguments(parser)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--weights", default="shipped")
    parser.add_argument("--backwards", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    record = begin_record("masks along the optical flow", ("torch", "numpy", "opencv-python"))
    rows = {s.name: measure(s, arguments) for s in open_davis_arguments(arguments)}
    record["by_sequence"] = rows
    for name in ("copy", "J&F"):
        values = np.mean([row[name] for row in rows.values()], axis=0)
        record[name] = [round(float(value), 4) for value in values]
    finish_record(record, arguments.json)


if __name__ == "__main__":
    main()
