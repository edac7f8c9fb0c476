"""The tracks of CVAT: shapes on key frames, which hold or are interpolated between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

__all__ = ["Shape", "expand"]


@dataclass(frozen=True)
class Shape:
    """A shape on a frame of a track.

    Attributes:
        frame: number of the frame.
        outside: whether the object is out of view from here on.
        segmentation: as ``Entry`` takes it; None for a box, points or lines.
        points: the points of a polygon; None for other shapes.
    """

    frame: int
    outside: bool
    segmentation: Any
    points: list[tuple[float, float]] | None = None


def expand(shapes: Sequence[Shape], last: int) -> Iterator[tuple[int, Any, bool]]:
    """Iterate over the frames in which a track is visible.

    Between two key frames, polygons with equally many points are interpolated. Other shapes hold.

    Args:
        shapes: the shapes of the track; several on one frame are parts of the object.
        last: the last frame of the video.

    Yields:
        The frame, the segmentation, and whether the file does not state it.
    """
    by_frame: dict[int, list[Shape]] = {}
    for shape in sorted(shapes, key=lambda s: s.frame):
        by_frame.setdefault(shape.frame, []).append(shape)
    stops = [*by_frame, last + 1]
    for frame, following in pairwise(stops):
        here = [shape for shape in by_frame[frame] if not shape.outside]
        for shape in here:
            yield frame, shape.segmentation, False
        after = by_frame.get(following, [])
        for position in range(frame + 1, following):
            share = (position - frame) / (following - frame)
            for shape in here:
                yield position, _between(shape, after, share), True


def _between(shape: Shape, after: Sequence[Shape], share: float) -> Any:
    """Return a polygon between two key frames, or the earlier shape."""
    other = after[0] if len(after) == 1 else None
    if shape.points is None or other is None or other.points is None or other.outside:
        return shape.segmentation
    if len(shape.points) != len(other.points):
        return shape.segmentation
    return [
        [
            (1 - share) * one + share * two
            for a, b in zip(shape.points, other.points, strict=True)
            for one, two in zip(a, b, strict=True)
        ]
    ]
