"""Time J and F of a 480p frame against a straightforward implementation of the official procedure.

The baseline does, for each object, what the DAVIS 2017 evaluation code does: two boolean masks, an
exclusive-or contour of each, ``cv2.dilate`` of both contours by the disk of 197 pixels, and sums.
It is written here in numpy and OpenCV, without the official code's float64 stack of all objects
of all frames, which would make it slower. Both run on the same maps, turn by turn, in one process;
OpenCV may use all cores, ours uses one. The two must agree before anything is timed.

    python benchmarks/davis_metrics.py [--json FILE]
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from record import begin_record, benchmark_parser, finish_record, spread, time_alternately

from vostrack.arrays import BoolArray, DoubleArray, UInt8Array
from vostrack.eval import frame_scores

SIZE = (480, 854)
FRAMES = 8
REPEATS = 25


def draw(rng: np.random.Generator, objects: int, *, wobble: float) -> tuple[UInt8Array, UInt8Array]:
    """Draw ragged blobs and a copy of them whose outline and place are a little off.

    With one object the blob covers about a tenth of the frame, with more each is smaller.
    """
    prediction, truth = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    for number in range(1, objects + 1):
        radius = 115 / np.sqrt(objects) ** 0.8
        centre = rng.uniform((radius, radius), (SIZE[1] - radius, SIZE[0] - radius))
        ragged = radius * (1 + 0.25 * np.sin(angles * rng.integers(2, 9)) + rng.normal(0, 0.04, 90))
        for labels, offset in ((truth, 0.0), (prediction, wobble)):
            moved = ragged + rng.normal(0, 1, 90) * offset
            place = centre + offset
            points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * moved[:, None] + place
            cv2.fillPoly(labels, [np.round(points).astype(np.int32)], number)
    return prediction, truth


def contour(mask: BoolArray) -> BoolArray:
    """Return the contour of one mask."""
    east, south, diagonal = np.zeros_like(mask), np.zeros_like(mask), np.zeros_like(mask)
    east[:, :-1] = mask[:, 1:]
    south[:-1] = mask[1:]
    diagonal[:-1, :-1] = mask[1:, 1:]
    lines: BoolArray = (mask ^ east) | (mask ^ south) | (mask ^ diagonal)
    lines[-1] = mask[-1] ^ east[-1]
    lines[:, -1] = mask[:, -1] ^ south[:, -1]
    lines[-1, -1] = False
    return lines


def disk(radius: int) -> UInt8Array:
    """Return the disk that contours are dilated by."""
    across = np.arange(-radius, radius + 1)
    inside: UInt8Array = (across[:, None] ** 2 + across**2 <= radius**2).astype(np.uint8)
    return inside


def straightforward(prediction: UInt8Array, truth: UInt8Array, objects: int) -> DoubleArray:
    """Score each object on the whole frame; returns (2, N), J and F."""
    footprint = disk(int(np.ceil(0.008 * np.linalg.norm(truth.shape))))
    scores = np.zeros((2, objects))
    for number in range(1, objects + 1):
        mine, theirs = prediction == number, truth == number
        union = np.sum(mine | theirs)
        scores[0, number - 1] = np.sum(mine & theirs) / union if union else 1.0
        scores[1, number - 1] = contour_score(contour(mine), contour(theirs), footprint)
    return scores


def contour_score(mine: BoolArray, theirs: BoolArray, footprint: UInt8Array) -> float:
    """Return F of two contours."""
    near_mine = cv2.dilate(mine.astype(np.uint8), footprint)
    near_theirs = cv2.dilate(theirs.astype(np.uint8), footprint)
    count_mine, count_theirs = int(np.sum(mine)), int(np.sum(theirs))
    if not count_mine or not count_theirs:
        return float(count_mine == count_theirs)
    precision = float(np.sum(mine * near_theirs)) / count_mine
    recall = float(np.sum(theirs * near_mine)) / count_theirs
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def measure(objects: int, wobble: float) -> dict[str, Any]:
    """Check and time both on the same frames."""
    rng = np.random.default_rng([objects, round(wobble)])
    frames = [draw(rng, objects, wobble=wobble) for _ in range(FRAMES)]
    for prediction, truth in frames:
        ours = frame_scores(prediction, truth, objects)
        expected = straightforward(prediction, truth, objects)
        if not np.array_equal(np.stack([ours.j, ours.f]), expected):
            raise SystemExit("the two implementations disagree; nothing was timed")

    def run_ours() -> None:
        for prediction, truth in frames:
            frame_scores(prediction, truth, objects)

    def run_baseline() -> None:
        for prediction, truth in frames:
            straightforward(prediction, truth, objects)

    times = time_alternately({"ours": run_ours, "baseline": run_baseline}, repeats=REPEATS)
    per_frame = {name: spread([value / FRAMES for value in row]) for name, row in times.items()}
    ratios = [slow / fast for slow, fast in zip(times["baseline"], times["ours"], strict=True)]
    low, median, high = np.quantile(ratios, (0.25, 0.5, 0.75))
    return {
        "objects": objects,
        "wobble_pixels": wobble,
        **per_frame,
        "ratio_median": round(float(median), 2),
        "ratio_iqr": [round(float(low), 2), round(float(high), 2)],
    }


def main() -> None:
    """Run every case and write one record."""
    arguments = benchmark_parser(__doc__).parse_args()
    record = begin_record(
        "davis_metrics: J and F of one frame, all objects", ("numpy", "opencv-python")
    )
    cases = [measure(objects, wobble) for objects in (1, 3, 10) for wobble in (2.0, 12.0)]
    record |= {"size": list(SIZE), "frames_per_repeat": FRAMES, "cases": cases}
    finish_record(record, arguments.json)


if __name__ == "__main__":
    main()
