"""Frames that lack an object: the tracker was not asked for it where it went on with others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vostrack.studio.project import Project

__all__ = ["Gap", "find_gaps"]


@dataclass(frozen=True)
class Gap:
    """A run of tracked frames without an object, right after a frame that says where it is.

    Attributes:
        name: of the object.
        first: the first of the frames.
        last: the last of them.
    """

    name: str
    first: int
    last: int

    @property
    def words(self) -> str:
        """Which frames, and what to do."""
        one = self.first == self.last
        frames = f"frame {self.first}" if one else f"frames {self.first} to {self.last}"
        return (
            f"{self.name} was not tracked in {frames}: go to frame {self.first - 1} and press "
            "Forward"
        )


def find_gaps(project: Project) -> list[Gap]:
    """Return the gaps of every object, by object and frame."""
    with project.lock:
        stated = {frame: project.stated(frame) for frame in range(project.video.count)}
        tracked = sorted(project.tracked)
        return [
            Gap(one.name, first, last)
            for one in project.objects
            for first, last in _runs(
                [k for k in tracked if not one.ended(k) and one.id not in stated[k]]
            )
            if first > 0 and one.id in stated[first - 1]
        ]


def _runs(frames: list[int]) -> Iterator[tuple[int, int]]:
    """Give the first and the last of each run of consecutive frames."""
    first = 0
    for place, frame in enumerate(frames):
        if place + 1 == len(frames) or frames[place + 1] != frame + 1:
            yield frames[first], frame
            first = place + 1
