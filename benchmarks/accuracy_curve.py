"""Draw accuracy against seconds, one point per preset, as an SVG.

Each run is a folder of ``vostrack davis run`` and its ``vostrack eval --json``; seconds come from
the run's ``done.json`` files: all of a sequence, fine-tuning included, per frame.

    python benchmarks/accuracy_curve.py --out curve.svg fast=RUN:SCORES.json best=RUN:SCORES.json
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, HEIGHT, MARGIN = 560, 320, 56


def read_point(folder: Path, scores: Path) -> tuple[float, float]:
    """Return seconds per frame, and J&F."""
    runs = [json.loads(path.read_text()) for path in sorted(folder.glob("*/done.json"))]
    seconds = sum(run["seconds"] for run in runs) / sum(len(run["frames"]) for run in runs)
    return seconds, float(json.loads(scores.read_text())["global"]["J&F"])


def draw(points: dict[str, tuple[float, float]]) -> str:
    """Return the SVG; seconds on a logarithmic axis."""
    low = math.floor(math.log10(min(x for x, _ in points.values())) * 4) / 4
    high = math.ceil(math.log10(max(x for x, _ in points.values())) * 4) / 4
    bottom = math.floor(min(y for _, y in points.values()) * 20 - 0.5) / 20
    top = math.ceil(max(y for _, y in points.values()) * 20 + 0.1) / 20

    def place(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - low) / max(high - low, 1e-9)
        up = (y - bottom) / (top - bottom)
        return MARGIN + across * (WIDTH - 2 * MARGIN), HEIGHT - MARGIN - up * (HEIGHT - 2 * MARGIN)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12" fill="#333">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 14}" text-anchor="middle">seconds per frame, '
        "fine-tuning included</text>",
        f'<text x="16" y="{HEIGHT / 2}" text-anchor="middle" '
        f'transform="rotate(-90 16 {HEIGHT / 2})">J&amp;F</text>',
    ]
    for step in range(round((top - bottom) * 20) + 1):
        value = bottom + step / 20
        _, y = place(10**low, value)
        parts.append(
            f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
            f'<text x="{MARGIN - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.2f}</text>'
        )
    for x in (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0):
        if low <= math.log10(x) <= high:
            across, _ = place(x, bottom)
            parts.append(
                f'<text x="{across:.1f}" y="{HEIGHT - MARGIN + 16}" text-anchor="middle">'
                f"{x:g}</text>"
            )
    ordered = sorted(points.items(), key=lambda item: item[1][0])
    line = " ".join("{:.1f},{:.1f}".format(*place(*point)) for _, point in ordered)
    parts.append(f'<polyline points="{line}" fill="none" stroke="#9bb" stroke-width="1.5"/>')
    for name, point in ordered:
        x, y = place(*point)
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#2b6cb0"/>'
            f'<text x="{x + 7:.1f}" y="{y - 7:.1f}">{escape(name)} {point[1]:.3f}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    """Read the runs and write the curve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", help="NAME=RUN_FOLDER:SCORES.json")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    points = {}
    for run in arguments.runs:
        name, paths = run.split("=", 1)
        folder, scores = paths.rsplit(":", 1)
        points[name] = read_point(Path(folder), Path(scores))
        print(f"{name}: {points[name][0]:.3f} s per frame, J&F {points[name][1]:.4f}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(draw(points), encoding="utf-8")


if __name__ == "__main__":
    main()
