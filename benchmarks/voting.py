"""Time the voting: suppression with owners over 10 thousand to 400 thousand boxes.

The boxes are those of twenty instances, every vote off by a normal error of 8 or 15 % of its
instance's size, which leaves from fifty to several hundred clusters. The vectorised loop over the
kept boxes (what runs without numba) is timed beside the compiled one, and so is the whole voting of
one class: modes in the order of their support, suppression, clusters, confidence and region
suppression. The plain Python reference is timed once, on ten thousand votes. All of them must agree
first. The compiled loops run on ``--threads`` threads, everything else on one.

    python benchmarks/voting.py [--threads 2] [--json FILE] [--plot FILE.svg]
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import begin_record, benchmark_parser, finish_record, spread, time_alternately

from vostrack.arrays import DoubleArray, FloatArray, IntArray
from vostrack.proposers.hough_voting import reference, suppression
from vostrack.proposers.hough_voting.suppression import suppress
from vostrack.proposers.hough_voting.votes import VotingConfig
from vostrack.proposers.hough_voting.voting import find_instances

SIZES = (10_000, 50_000, 400_000)
ERRORS = (0.08, 0.15)
INSTANCES = 20
OVERLAP = 0.5
REPEATS = 7
# The plain Python loop over more votes would take minutes.
LOOP_LIMIT = 10_000


def draw_votes(count: int, error: float, seed: int = 0) -> tuple[DoubleArray, FloatArray]:
    """Draw boxes (P, 4) and scores (P,) in an image of about eight times as many pixels."""
    rng = np.random.default_rng(seed)
    side = float(np.sqrt(8 * count))
    middles = rng.uniform(0, side, (INSTANCES, 2))
    sizes = rng.uniform(0.1, 0.35, (INSTANCES, 2)) * side
    chosen = rng.integers(INSTANCES, size=count)
    middle = middles[chosen] + rng.normal(0, error, (count, 2)) * sizes[chosen]
    size = sizes[chosen] * np.exp(rng.normal(0, error, (count, 2)))
    boxes = np.concatenate([middle - size / 2, middle + size / 2], axis=1)
    return boxes, rng.random(count).astype(np.float32)


def without_numba(boxes: DoubleArray, scores: FloatArray) -> IntArray:
    """Return the owners by the vectorised loop."""
    order = np.argsort(-scores, kind="stable")
    _, in_order = suppression.suppress_sorted_numpy(boxes[order], OVERLAP)
    owners = np.empty_like(in_order)
    owners[order] = in_order
    return owners


def measure(count: int, error: float) -> dict[str, Any]:
    """Time one size."""
    boxes, scores = draw_votes(count, error)
    clusters = suppress(boxes, scores, OVERLAP)
    np.testing.assert_array_equal(clusters.owners, without_numba(boxes, scores))
    probabilities, grid = on_a_grid(boxes, scores)
    config = VotingConfig(top=1, floor=0.0, overlap=OVERLAP)
    times = time_alternately(
        {
            "numba": lambda: suppress(boxes, scores, OVERLAP),
            "numpy": lambda: without_numba(boxes, scores),
            "voting": lambda: find_instances(probabilities, grid, config),
        },
        repeats=REPEATS,
    )
    result: dict[str, Any] = {"votes": count, "error": error, "clusters": len(clusters)}
    result |= {name: spread(values) for name, values in times.items()}
    result["numpy_over_numba"] = _ratio(times["numpy"], times["numba"])
    if count <= LOOP_LIMIT:
        begin = time.perf_counter()
        kept, owners = reference.suppress(boxes, scores, OVERLAP)
        seconds = time.perf_counter() - begin
        np.testing.assert_array_equal(clusters.owners, owners)
        np.testing.assert_array_equal(clusters.kept, kept)
        result["reference_ms"] = round(1000 * seconds, 1)
        result["reference_over_numba"] = _ratio([seconds], times["numba"])
    return result


def on_a_grid(boxes: DoubleArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lay the votes on a grid: probabilities (2, h, w) of one class, and boxes (1, 4, h, w)."""
    width = 100
    positive = (1 + scores.reshape(-1, width)) / 2
    grid = boxes.T.reshape(1, 4, -1, width)
    return np.stack([1 - positive, positive]), np.ascontiguousarray(grid, dtype=np.float32)


def _ratio(slow: list[float], fast: list[float]) -> float:
    return round(statistics.median(slow) / statistics.median(fast), 1)


def plot(cases: list[dict[str, Any]], path: Path) -> None:
    """Draw time over votes, both axes logarithmic, as an SVG without further libraries."""
    left, top, width, height = 60, 20, 420, 300
    lowest, highest = 1.0, 10_000.0

    def place(votes: float, milliseconds: float) -> str:
        x = left + width * np.log10(votes / 5e3) / np.log10(8e5 / 5e3)
        y = top + height * (1 - np.log10(milliseconds / lowest) / np.log10(highest / lowest))
        return f"{x:.1f},{y:.1f}"

    lines = []
    for ms in (1, 10, 100, 1000, 10_000):
        y = place(5e3, ms).split(",")[1]
        lines.append(f'<path d="M{left} {y}H{left + width}" stroke="#ddd"/>')
        lines.append(f'<text x="{left - 6}" y="{y}" text-anchor="end">{ms} ms</text>')
    for votes in SIZES:
        x = place(votes, lowest).split(",")[0]
        lines.append(f'<text x="{x}" y="{top + height + 16}" text-anchor="middle">{votes:,}</text>')
    for name, colour in (("numba", "#1667c7"), ("numpy", "#c75016"), ("voting", "#2a8a3a")):
        for error, dash in zip(ERRORS, ("none", "5 4"), strict=True):
            points = " ".join(
                place(case["votes"], max(case[name]["median_ms"], lowest))
                for case in cases
                if case["error"] == error
            )
            lines.append(
                f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2" '
                f'stroke-dasharray="{dash}"><title>{name}, error {error}</title></polyline>'
            )
    legend = "blue: suppression with numba, orange: without; green: whole voting of a class"
    lines.append(
        f'<text x="{left}" y="{top + height + 50}">error 0.08, dashed 0.15; x: votes</text>'
    )
    lines.append(f'<text x="{left}" y="{top + height + 36}">{legend}</text>')
    body = "\n".join(lines)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 20}" '
        f'height="{top + height + 62}" font-family="sans-serif" font-size="11">\n{body}\n</svg>\n',
        encoding="utf-8",
    )


def main() -> None:
    """Run every case and write the record."""
    parser = benchmark_parser(__doc__, threads=1)
    parser.add_argument("--plot", metavar="FILE", type=Path, help="draw the times as SVG")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    record = begin_record(
        f"suppression with owners, {INSTANCES} instances, overlap {OVERLAP}", ("numba", "numpy")
    )
    record["cases"] = [measure(count, error) for count in SIZES for error in ERRORS]
    if arguments.plot:
        plot(record["cases"], arguments.plot)
    finish_record(record, arguments.json)


if __name__ == "__main__":
    main()
