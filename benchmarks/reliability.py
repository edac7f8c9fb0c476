"""Measure how far the presence of the tracker can be trusted: a reliability curve.

Each sequence is tracked from its first mask. In every later frame, an object is there if the truth
has at least --smallest pixels of it, and it is found if its mask overlaps with the truth by at
least one half (J). Reported are, of both, for ten bins of presence, the number of samples, the mean
presence and the share of objects that were; the Brier score, the expected calibration error and the
share of right answers at 0.5.

Clips with occlusions come from the generator: vostrack synthesize --output DIR

    python benchmarks/reliability.py --root DIR --set val [--preset fast] [--json FILE]
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from record import (
    add_davis_arguments,
    begin_record,
    benchmark_parser,
    finish_record,
    open_davis_arguments,
)

from vostrack.build import build_tracker
from vostrack.datasets.annotated_frames import read_annotation
from vostrack.masks.palette import VOID
from vostrack.video import open_source

BINS = 10


def collect(sequence: Any, arguments: argparse.Namespace) -> list[tuple[float, float, float]]:
    """Return the presence of each object in each frame, and whether it was there and found."""
    tracker = build_tracker(arguments.preset)
    rows: list[tuple[float, float, float]] = []
    with open_source(sequence.frames[0].parent, end=arguments.frames) as source:
        for frame, path in zip(source, sequence.annotations, strict=False):
            labels = read_annotation(path, sequence.semantics)
            labels[labels == VOID] = 0
            if not tracker.ids:
                tracker.start(frame.image, labels)
                continue
            result = tracker.step(frame.image)
            for number, presence in zip(result.ids, result.presence, strict=True):
                truth, mask = labels == number, result.labels == number
                there = int(truth.sum()) >= arguments.smallest
                found = there and (truth & mask).sum() >= 0.5 * (truth | mask).sum()
                rows.append((presence, float(there), float(found)))
    return rows


def curve(presence: np.ndarray, there: np.ndarray) -> dict[str, Any]:
    """Return the reliability curve and its summaries."""
    bins = np.minimum((presence * BINS).astype(int), BINS - 1)
    rows, error = [], 0.0
    for index in range(BINS):
        inside = bins == index
        if not inside.any():
            continue
        said, was = float(presence[inside].mean()), float(there[inside].mean())
        error += inside.mean() * abs(said - was)
        rows.append({"samples": int(inside.sum()), "said": round(said, 3), "was": round(was, 3)})
    return {
        "curve": rows,
        "brier": round(float(np.mean((presence - there) ** 2)), 4),
        "calibration_error": round(float(error), 4),
        "right_at_half": round(float(np.mean((presence >= 0.5) == (there > 0.5))), 4),
        "samples": len(presence),
        "were_not": int((there == 0).sum()),
    }


def main() -> None:
    """Track, and print the curve."""
    parser = benchmark_parser(__doc__)
    add_davis_arguments(parser)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--frames", type=int, default=None, help="of each sequence; default: all")
    parser.add_argument("--smallest", type=int, default=30, help="pixels of an object that is seen")
    arguments = parser.parse_args()
    record = begin_record("presence: reliability", ("torch", "numpy"))
    rows = [row for s in open_davis_arguments(arguments) for row in collect(s, arguments)]
    presence, there, found = np.array(rows).T
    record.update(there=curve(presence, there), found=curve(presence, found))
    finish_record(record, arguments.json)


if __name__ == "__main__":
    main()
