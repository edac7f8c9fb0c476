"""Plots of J or F over time as inline SVG."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from vostrack.arrays import FloatArray
from vostrack.eval.report_assets import COLOURS

__all__ = ["Line", "plot_svg"]

_WIDTH, _HEIGHT = 520, 128
_LEFT, _RIGHT, _TOP, _BOTTOM = 26, 512, 16, 112


@dataclass(frozen=True)
class Line:
    """The values of one measure of one object in one run.

    Attributes:
        run: index of the run, which determines its colour.
        values: (T,) in [0, 1]; NaN for frames that are not scored.
    """

    run: int
    values: FloatArray


def plot_svg(title: str, frames: Sequence[str], lines: Sequence[Line]) -> str:
    """Draw the lines of all runs over the frames. Frames that are not scored are gaps.

    Args:
        title: short title, shown in the corner and read by screen readers.
        frames: names of the T frames.
        lines: one for each run with this object.
    """
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" data-left="{_LEFT}" data-right="{_RIGHT}" '
        f'role="img" aria-label="{html.escape(title)} over time">'
    ]
    for value, style in ((0.0, "grid"), (0.5, "grid half"), (1.0, "grid")):
        y = _y(value)
        parts.append(f'<line class="{style}" x1="{_LEFT}" x2="{_RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 5}" y="{y + 3:.1f}" text-anchor="end">{value:g}</text>')
    parts.append(f'<text x="{_LEFT}" y="10">{html.escape(title)}</text>')
    parts.append(f'<text x="{_LEFT}" y="{_HEIGHT - 4}">{html.escape(frames[0])}</text>')
    parts.append(
        f'<text x="{_RIGHT}" y="{_HEIGHT - 4}" text-anchor="end">{html.escape(frames[-1])}</text>'
    )
    for line in lines:
        colour = COLOURS[line.run % len(COLOURS)]
        parts += [
            f'<polyline stroke="{colour}" points="{points}"/>' for points in _pieces(line.values)
        ]
    parts.append(f'<line class="cursor" y1="{_TOP}" y2="{_BOTTOM}"/></svg>')
    return "".join(parts)


def _y(value: float) -> float:
    """Return the y coordinate of a score."""
    return round(_BOTTOM - (_BOTTOM - _TOP) * value, 1)


def _pieces(values: FloatArray) -> list[str]:
    """Return the points of each stretch of scored frames. A single frame becomes a dot."""
    step = (_RIGHT - _LEFT) / max(len(values) - 1, 1)
    pieces: list[list[str]] = [[]]
    for index, value in enumerate(values.tolist()):
        if math.isnan(value):
            pieces.append([])
        else:
            pieces[-1].append(f"{_LEFT + step * index:.1f},{_y(value)}")
    return [" ".join(piece if len(piece) > 1 else piece * 2) for piece in pieces if piece]
