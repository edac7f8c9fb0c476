"""Measure the masks that clicks give on the first frames of DAVIS sequences.

The first click lies at the inner point of the object, each later one at the inner point of the
largest connected error so far: inside where the object is missed, outside where the mask is too
large. Reported are J after 1, 3 and 5 clicks, J of the object's box alone, seconds to prepare a
frame, and seconds per click, by the clock and of the processor.

    python benchmarks/clicks.py --root DAVIS --year 2016 --set val [--json FILE]
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
from record import (
    add_davis_arguments,
    begin_record,
    benchmark_parser,
    finish_record,
    open_davis_arguments,
)

from vostrack.arrays import BoolArray
from vostrack.datasets.annotated_frames import read_annotation
from vostrack.interactive import Click, ClickSegmenter
from vostrack.interactive.simulated_clicks import next_click
from vostrack.masks.palette import VOID
from vostrack.video import open_source

CLICKS = 5


def intersection_over_union(mask: BoolArray, truth: BoolArray) -> float:
    """Return J of two masks, of which one is not empty."""
    return float((mask & truth).sum() / (mask | truth).sum())


def measure(segmenter: ClickSegmenter, image: Any, truth: BoolArray) -> dict[str, Any]:
    """Click until ``CLICKS`` clicks are made; return J after each and the times."""
    begin = time.perf_counter()
    frame = segmenter.open(image)
    prepared = time.perf_counter() - begin
    mask = np.zeros_like(truth)
    clicks: list[Click] = []
    scores: list[float] = []
    seconds: list[float] = []
    processor: list[float] = []
    for _ in range(CLICKS):
        click = next_click(mask, truth)
        if click is not None:
            clicks.append(click)
            begin, used = time.perf_counter(), time.process_time()
            mask = frame.segment(clicks)
            seconds.append(time.perf_counter() - begin)
            processor.append(time.process_time() - used)
        scores.append(intersection_over_union(mask, truth))
    rows, columns = (np.flatnonzero(truth.any(axis)) for axis in (1, 0))
    box = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    boxed = intersection_over_union(frame.segment([], box), truth)
    return {
        "j": scores,
        "j_box": boxed,
        "prepare": prepared,
        "click": statistics.median(seconds),
        "click_processor": statistics.median(processor),
    }


def main() -> None:
    """Measure every object of every sequence."""
    parser = benchmark_parser(__doc__)
    add_davis_arguments(parser)
    arguments = parser.parse_args()
    sequences = open_davis_arguments(arguments)
    record = begin_record("clicks: J of a mask by number of clicks", ("torch", "numpy", "scipy"))
    segmenter = ClickSegmenter()
    found: dict[str, dict[str, Any]] = {}
    for sequence in sequences:
        with open_source(sequence.frames[0].parent) as source:
            image = next(iter(source)).image
        path = sequence.annotations[0]
        assert path is not None, "the first frame of every sequence is annotated"
        labels = read_annotation(path, sequence.semantics)
        for number in np.unique(labels[(labels > 0) & (labels != VOID)]):
            found[f"{sequence.name} {number}"] = measure(segmenter, image, labels == number)
    record["objects"] = found
    record["mean"] = {
        **{f"j_{n}": mean(one["j"][n - 1] for one in found.values()) for n in (1, 3, 5)},
        "j_box": mean(one["j_box"] for one in found.values()),
        "seconds_to_prepare": mean(one["prepare"] for one in found.values()),
        "seconds_per_click": mean(one["click"] for one in found.values()),
        "processor_seconds_per_click": mean(one["click_processor"] for one in found.values()),
    }
    finish_record(record, arguments.json)


def mean(values: Any) -> float:
    """Return the mean, rounded to three digits."""
    return round(float(statistics.mean(values)), 3)


if __name__ == "__main__":
    main()
