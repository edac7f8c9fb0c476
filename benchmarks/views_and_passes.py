"""Measure what a mirrored view, a smaller mirrored view, and a second pass over the video gain.

Each sequence is fine-tuned once for all views, and once more for the second pass. Reported are J&F
of every frame but the first, and CPU seconds per later frame, fine-tuning included for the second
pass.

    python benchmarks/views_and_passes.py --root DAVIS --set train --sequences NAME ... [--seed 1]
"""

from __future__ import annotations

import time
from dataclasses import replace
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
from vostrack.presets import PRESETS, TrackerOptions
from vostrack.tracking.tracker import Tracker
from vostrack.tracking.video import Position, track_video
from vostrack.video import open_source

WAYS: dict[str, dict[str, Any]] = {
    "once": {"mirror": False},
    "mirrored": {"mirror": True, "mirror_scale": 1.0},
    "mirrored, at 0.8 of the size": {"mirror": True, "mirror_scale": 0.8},
    "second pass, once": {"mirror": False},
}


def tracker_of(way: str, arguments: Any) -> Tracker:
    """Build a tracker of the preset that looks at frames in one of the ways."""
    preset = PRESETS[arguments.preset]
    assert preset.target is not None
    PRESETS[way] = replace(preset, target=replace(preset.target, **WAYS[way]))
    options = TrackerOptions(seed=arguments.seed, second_pass=way.startswith("second"))
    return build_tracker(way, device="cpu", weights=arguments.weights, options=options)


def measure(sequence: Any, ways: list[str], arguments: Any) -> dict[str, dict[str, float]]:
    """Return J&F and seconds of each way."""
    truth = [read_annotation(path, sequence.semantics) for path in sequence.annotations]
    count = int(truth[0][truth[0] < 255].max())
    found, fitted = {}, None
    for way in ways:
        tracker, after = tracker_of(way, arguments), None
        with open_source(sequence.frames[0].parent) as source:
            if fitted is not None and not way.startswith("second"):
                tracker.load_state(fitted, None, other_options=True)
                after = Position(0, "forward")
            began, values = time.process_time(), []
            for step in track_video(tracker, source, truth[0], after=after):
                if step.position.index == 0:
                    if not way.startswith("second"):
                        fitted, began = tracker.start_state(), time.process_time()
                    continue
                scores = frame_scores(step.result.labels, truth[step.position.index], count)
                values.append((np.mean(scores.j) + np.mean(scores.f)) / 2)
        seconds = (time.process_time() - began) / len(values)
        found[way] = {"J&F": round(float(np.mean(values)), 4), "seconds": round(seconds, 3)}
    return found


def main() -> None:
    """Track each sequence in each way."""
    parser = benchmark_parser(__doc__)
    add_davis_arguments(parser)
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--weights", default="shipped")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    record = begin_record("views and passes", ("torch", "numpy"))
    rows = {s.name: measure(s, arguments.ways, arguments) for s in open_davis_arguments(arguments)}
    record["by_sequence"] = rows
    record["J&F"] = {
        way: round(float(np.mean([row[way]["J&F"] for row in rows.values()])), 4)
        for way in arguments.ways
    }
    finish_record(record, arguments.json)


if __name__ == "__main__":
    main()
