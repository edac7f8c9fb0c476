"""Measure how corrections repair a clip that began with a wrong mask.

The first mask is moved by a sixth of the object's size and eroded. The clip is tracked, the frame
with the lowest mean J is given its true mask, and the clip is tracked again with both masks; so it
goes on for --corrections frames (the idea of the DAVIS interactive track). Reported is the mean J
over all frames but those whose mask was given.

    python benchmarks/corrections.py --root DAVIS --set val --sequences NAME ... [--every 5]

With --no-refit the network is fine-tuned on the first mask only, as far as the preset does so.
"""

from __future__ import annotations

import sys
from typing import Any

import cv2
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
from vostrack.masks.palette import VOID
from vostrack.tracking.tracker import Tracker
from vostrack.tracking.video import track_video
from vostrack.video import open_source


def spoiled(labels: np.ndarray) -> np.ndarray:
    """Return a first mask as somebody in a hurry draws it: moved to the lower right, too small."""
    result = np.zeros_like(labels)
    for number in np.unique(labels[labels > 0]):
        mask = (labels == number).astype(np.uint8)
        side = max(2, round(float(np.sqrt(mask.sum())) / 6))
        moved = cv2.warpAffine(
            mask, np.array([[1, 0, side], [0, 1, side]], np.float64), mask.shape[::-1]
        )
        smaller = cv2.erode(moved, np.ones((side // 2 + 1,) * 2, np.uint8))
        result[(smaller if smaller.any() else mask) > 0] = number
    return result


def overlap(found: np.ndarray, truth: np.ndarray, ids: list[int]) -> float:
    """Return the mean J of the objects in a frame."""
    values = []
    for number in ids:
        either = (found == number) | (truth == number)
        both = (found == number) & (truth == number)
        values.append(both.sum() / either.sum() if either.any() else 1.0)
    return float(np.mean(values))


class Unfitted(Tracker):
    """A tracker that is not fine-tuned on further masks."""

    def _has_time(self, max_ms: float | None) -> bool:
        return False


def curve(
    sequence: Any, preset: str, every: int, corrections: int, *, refit: bool = True
) -> list[float]:
    """Return the mean J after 0, 1, 2 ... corrections."""
    with open_source(sequence.frames[0].parent, stride=every) as source:
        assert source.indices is not None
        truth = {}
        for index in source.indices:
            labels = read_annotation(sequence.annotations[index], sequence.semantics)
            truth[index] = np.where(labels == VOID, 0, labels).astype(np.uint8)
        first = source.indices[0]
        ids = [int(i) for i in np.unique(truth[first][truth[first] > 0])]
        masks, means = {first: spoiled(truth[first])}, []
        for _ in range(corrections + 1):
            tracker = build_tracker(preset)
            if not refit:
                tracker.__class__ = Unfitted
            scores = {
                step.frame.index: overlap(step.result.labels, truth[step.frame.index], ids)
                for step in track_video(tracker, source, masks)
            }
            rest = {index: value for index, value in scores.items() if index not in masks}
            means.append(round(float(np.mean(list(rest.values()))), 4))
            print(f"{sequence.name}: {means}", file=sys.stderr, flush=True)
            worst = min(rest, key=lambda index: rest[index])
            masks[worst] = np.where(np.isin(truth[worst], ids), truth[worst], 0).astype(np.uint8)
    return means


def main() -> None:
    """Track with ever more corrections."""
    parser = benchmark_parser(__doc__, threads=1)
    add_davis_arguments(parser)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--every", type=int, default=5, help="use every n-th frame")
    parser.add_argument("--corrections", type=int, default=3)
    parser.add_argument("--no-refit", action="store_true", help="learn later masks by memory only")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    record = begin_record("corrections of the worst frame", ("torch", "numpy"))
    record["J_by_sequence"] = {
        sequence.name: curve(
            sequence,
            arguments.preset,
            arguments.every,
            arguments.corrections,
            refit=not arguments.no_refit,
        )
        for sequence in open_davis_arguments(arguments)
    }
    record["J"] = np.mean(list(record["J_by_sequence"].values()), axis=0).round(4).tolist()
    finish_record(record, arguments.json)


if __name__ == "__main__":
    main()
