"""The tracks of CVAT: shapes on key frames, which hold or are interpolated between them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from vostrack.masks.annotations import shortened, whole_number

__all__ = ["Shape", "Track", "expand", "joined"]


@dataclass(frozen=True)
class Shape:
    """A shape on a frame of a track.

    Attributes:
        frame: number of the frame.
        outside: whether the object is out of view from here on.
        segmentation: as ``Entry`` takes it; None for a box, points or lines.
        points: the points of a polygon; None for other shapes.
        mask: whether it is a mask.
    """

    frame: int
    outside: bool
    segmentation: Any
    points: list[tuple[float, float]] | None = None
    mask: bool = False


@dataclass(frozen=True)
class Track:
    """An object of a video.

    Attributes:
        label: its class.
        number: its number; None if it has none.
        key: what identifies it; None if nothing does.
        group: number of its group; None if it is in none.
        shapes: its shapes, several on one frame are its parts.
    """

    label: str
    number: int | None
    key: str | None
    group: int | None
    shapes: tuple[Shape, ...]

    @classmethod
    def read(cls, element: ET.Element, position: int, shapes: Sequence[Shape]) -> Track:
        """Take number, label and group from an element ``track``.

        Args:
            element: the track.
            position: of the track in the file, its number if it states none.
            shapes: its shapes.
        """
        label = shortened(element.get("label", "object"))
        name = shortened(element.get("id", position), 20)
        group = whole_number(element.get("group_id"))
        # Several tracks may have one number, as after merging files.
        return cls(label, whole_number(name), f"{name} {label}", group or None, tuple(shapes))

    def alone(self, last: int) -> Shape | None:
        """Return its only mask, if it is a track that CVAT made for one mask.

        Args:
            last: the last frame of the video. CVAT does not end masks on the two last frames.
        """
        seen = [shape for shape in self.shapes if not shape.outside]
        ends = len(seen) < len(self.shapes)
        whole = len(seen) == 1 and seen[0].mask and (ends or 0 < last - 1 <= seen[0].frame)
        return seen[0] if whole else None


def joined(tracks: Sequence[Track], last: int) -> list[Track]:
    """Join the tracks that are one object.

    Masks that CVAT did not track are the same object if they have the same group and label. Without
    a group nothing identifies them, if they are on several frames.

    Args:
        tracks: the tracks in the order of the file.
        last: the last frame of the video.
    """
    masks = [track.alone(last) for track in tracks]
    pairs = [(track, mask) for track, mask in zip(tracks, masks, strict=True) if mask is not None]
    spread = len({mask.frame for track, mask in pairs if not track.group}) > 1
    found: list[Track] = []
    places: dict[str, int] = {}
    for track, mask in zip(tracks, masks, strict=True):
        if mask is not None and (track.group or spread):
            ended = (mask, Shape(mask.frame + 1, True, None))
            key = f"group {track.group} {track.label}" if track.group else None
            track = replace(track, key=key, number=track.group, shapes=ended)
        if track.key in places:
            place = places[track.key]
            found[place] = replace(track, shapes=found[place].shapes + track.shapes)
            continue
        if track.key is not None:
            places[track.key] = len(found)
        found.append(track)
    return found


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
