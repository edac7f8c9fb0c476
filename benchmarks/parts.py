"""Score a data set with each part of the tracker on and off, and time the frames.

    python benchmarks/parts.py --root DAVIS --year 2016 --set val [--preset balanced] [--ids FOLDER]
        [--columns default no-identity ...] [--proposer components] [--every 1] [--json FILE]

The columns are: default (the preset), no-identity, no-let-go, reacquire and support (with
--proposer), all (both with it), no-refiner and no-adapt. Every sequence is tracked with all columns
before the next one. The network is fine-tuned once per sequence, because the parts do not change
that. Reported are J&F by sequence and in the mean over objects, the difference from the first
column, and milliseconds per step. With --ids, FOLDER/SEQUENCE/FRAME.png hold ids for some of the
sequences.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
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
from unsupervised import truth_of

from vostrack.build import build_tracker
from vostrack.datasets import VideoSequence
from vostrack.eval import score_sequence
from vostrack.presets import TrackerOptions
from vostrack.tracking.tracker import Tracker
from vostrack.video import open_source

COLUMNS: dict[str, dict[str, Any]] = {
    "default": {},
    "no-identity": {"identity": False},
    "no-let-go": {"let_go": False},
    "reacquire": {"reacquire": True},
    "support": {"support": True},
    "all": {"reacquire": True, "support": True},
    "no-refiner": {"refiner": "none"},
    "no-adapt": {"adapt": False},
}


def options_of(column: str, proposer: str) -> TrackerOptions:
    """Return the options of a column."""
    asks = column in ("reacquire", "support", "all")
    return TrackerOptions(**COLUMNS[column], proposer=proposer if asks else None)


def track(
    tracker: Tracker, frames: list[np.ndarray], first: np.ndarray, begun: dict[str, Any] | None
) -> tuple[list[np.ndarray], list[float], dict[str, Any]]:
    """Track a sequence from a start that another column has made, if any.

    Returns:
        The label maps, the milliseconds of every step, and the start.
    """
    if begun is None:
        tracker.start(frames[0], first)
    else:
        tracker.load_state(begun, None, other_options=True)
    found, milliseconds = [first], []
    for frame in frames[1:]:
        begin = time.perf_counter()
        found.append(tracker.step(frame).labels)
        milliseconds.append(1000 * (time.perf_counter() - begin))
    return found, milliseconds, tracker.start_state()


def compare(
    sequence: VideoSequence, trackers: dict[str, Tracker], arguments: Any
) -> dict[str, dict[str, Any]]:
    """Score one sequence with every column."""
    with open_source(sequence.frames[0].parent, stride=arguments.every) as source:
        frames = [(frame.index, frame.image) for frame in source]
    truth = [truth_of(sequence, index, arguments.ids) for index, _ in frames]
    images, rows = [image for _, image in frames], {}
    # What is learned at the start depends on the way of fine-tuning and on nothing else.
    begun: dict[str, Any] | None = None
    for column, tracker in trackers.items():
        found, milliseconds, begun = track(tracker, images, truth[0], begun)
        names = [str(index) for index, _ in frames]
        named = list(zip(names, found, truth, strict=True))
        scores = score_sequence(sequence.name, named)
        both = [(scores.measure("J", n).mean + scores.measure("F", n).mean) / 2 for n in scores.ids]
        rows[column] = {"J&F": both, "ms": milliseconds}
        line = f"{sequence.name:20} {column:12} J&F {np.mean(both):.4f}"
        print(f"{line} {np.median(milliseconds):7.1f} ms", file=sys.stderr, flush=True)
    return rows


def main() -> None:
    """Score every sequence with every column, and print and write the record."""
    parser = benchmark_parser(__doc__, threads=1)
    add_davis_arguments(parser)
    parser.add_argument("--ids", type=Path, help="folder of masks with ids")
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--proposer", default="components")
    parser.add_argument("--columns", nargs="+", default=list(COLUMNS), choices=list(COLUMNS))
    parser.add_argument("--every", type=int, default=1, help="use every n-th frame")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    record = begin_record("parts on and off", ("torch", "numpy", "opencv-python"))
    trackers = {
        column: build_tracker(arguments.preset, options=options_of(column, arguments.proposer))
        for column in arguments.columns
    }
    found = {
        sequence.name: compare(sequence, trackers, arguments)
        for sequence in open_davis_arguments(arguments)
    }
    table = {}
    for column in trackers:
        scores = [value for rows in found.values() for value in rows[column]["J&F"]]
        steps = [value for rows in found.values() for value in rows[column]["ms"]]
        table[column] = {
            "J&F": round(float(np.mean(scores)), 4),
            "ms_per_step": round(float(np.median(steps)), 1),
        }
    first = next(iter(table.values()))["J&F"]
    for row in table.values():
        row["difference"] = round(row["J&F"] - first, 4)
    record["columns"] = table
    record["by_sequence"] = {
        name: {column: round(float(np.mean(row["J&F"])), 4) for column, row in rows.items()}
        for name, rows in found.items()
    }
    finish_record(record, arguments.json)


if __name__ == "__main__":
    main()
