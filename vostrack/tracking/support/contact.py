"""What is known of objects that touch: how they moved before, and where they should be now."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import cv2
import numpy as np

from vostrack.arrays import BoolArray, UInt8Array

__all__ = ["Contact", "Motion", "Piece", "pieces_of", "touching", "within"]

# The velocity is the median of so many steps: a mask that leaks for a frame or two changes little.
_STEPS = 5
# Weight of the newest frame in the area.
_AREA_SHARE = 0.2
# Objects are on their way for this many frames; where they are later is anyone's guess.
_LONGEST_WAY = 15
# Objects whose union never was smaller than this share of their areas have not passed one another.
_PASSED = 0.75
# Masks touch at this distance: pixels, and a share of the square root of the smaller area.
_GAP, _GAP_SHARE = 2.0, 0.15


@dataclass(frozen=True)
class Motion:
    """One object while nothing disturbs it. All in pixels at the working size.

    Attributes:
        center: x and y.
        steps: x and y of its last moves, per frame.
        area: smoothed.
    """

    center: tuple[float, float]
    steps: tuple[tuple[float, float], ...]
    area: float

    @property
    def velocity(self) -> tuple[float, float]:
        """The median of the steps; 0 before the first of them."""
        if not self.steps:
            return 0.0, 0.0
        x, y = np.median(np.array(self.steps), axis=0)
        return float(x), float(y)

    @property
    def size(self) -> float:
        """The square root of the area."""
        return math.sqrt(max(self.area, 1.0))

    def moved(self, center: tuple[float, float], area: float, frames: int = 1) -> Motion:
        """Return the motion after it was seen again, ``frames`` frames later."""
        step = ((center[0] - self.center[0]) / frames, (center[1] - self.center[1]) / frames)
        steps = (*self.steps, step)[-_STEPS:]
        return Motion(center, steps, self.area + _AREA_SHARE * (area - self.area))

    def ahead(self, frames: int) -> tuple[float, float]:
        """Return x and y after some frames, if it goes on as before."""
        way, (x, y) = min(frames, _LONGEST_WAY), self.velocity
        return self.center[0] + way * x, self.center[1] + way * y

    def state_dict(self) -> dict[str, Any]:
        """Return the attributes by name."""
        return asdict(self)

    @staticmethod
    def from_state(state: dict[str, Any]) -> Motion:
        """Restore the result of ``state_dict``."""
        steps = tuple((x, y) for x, y in state["steps"])
        return Motion(tuple(state["center"]), steps, state["area"])


@dataclass(frozen=True)
class Contact:
    """Objects that touch, or did so a few frames ago.

    Attributes:
        slots: of the objects, ascending.
        motions: of each, before they touched or as they were told apart last.
        age: frames since then.
        depth: the smallest area of their union so far, as a share of their areas together.
        apart: for how many frames they have been seen apart.
        settled: whether the labels have been changed in this contact.
        sure: False if the objects were seen apart, but which is which is not clear.
        doubt: for how many frames the scores have labelled their pieces otherwise than they match.
    """

    slots: tuple[int, ...]
    motions: tuple[Motion, ...]
    age: int = 0
    depth: float = 1.0
    apart: int = 0
    doubt: int = 0
    settled: bool = False
    sure: bool = True

    @property
    def passed(self) -> bool:
        """Whether one was hidden so far that they may have changed sides."""
        return self.depth < _PASSED

    def after(self, area: float) -> Contact:
        """Return the contact in the next frame, in which the union has an area, pixels."""
        whole = max(sum(motion.area for motion in self.motions), 1.0)
        return replace(self, age=self.age + 1, depth=min(self.depth, area / whole))

    def expected(self) -> list[tuple[float, float]]:
        """Return where each object should be now."""
        return [motion.ahead(self.age) for motion in self.motions]

    def state_dict(self) -> dict[str, Any]:
        """Return the attributes by name."""
        return asdict(self)

    @staticmethod
    def from_state(state: dict[str, Any]) -> Contact:
        """Restore the result of ``state_dict``."""
        motions = tuple(Motion.from_state(each) for each in state["motions"])
        return Contact(**{**state, "slots": tuple(state["slots"]), "motions": motions})


@dataclass(frozen=True)
class Piece:
    """A connected piece of a mask.

    Attributes:
        mask: (h, w) bool.
        center: x and y, pixels.
        area: pixels.
        box: rows and columns around it.
    """

    mask: BoolArray
    center: tuple[float, float]
    area: float
    box: tuple[slice, slice]


def pieces_of(mask: BoolArray, smallest: float) -> list[Piece]:
    """Return the 8-connected pieces of a mask (h, w) with at least ``smallest`` pixels."""
    whole = mask.view(np.uint8)
    x, y, columns, rows = cv2.boundingRect(whole)
    if not columns:
        return []
    # Sums over the background, which is left out here, took most of the time. Of the algorithms,
    # this one is the fastest: it takes less than half of the default's time.
    count, numbered, stats, centers = cv2.connectedComponentsWithStatsWithAlgorithm(
        whole[y : y + rows, x : x + columns], 8, cv2.CV_32S, cv2.CCL_GRANA
    )
    pieces = []
    for k in range(1, count):
        left, top, width, height, area = stats[k].tolist()
        if area >= smallest:
            own = numbered[top : top + height, left : left + width] == k
            left, top = x + left, y + top
            box = slice(top, top + height), slice(left, left + width)
            piece = np.zeros(mask.shape, bool)
            piece[box] = own
            center = x + float(centers[k][0]), y + float(centers[k][1])
            pieces.append(Piece(piece, center, float(area), box))
    return pieces


def within(labels: UInt8Array, slots: Sequence[int]) -> BoolArray:
    """Return which pixels (h, w) belong to any of some objects."""
    table = np.zeros(256, np.uint8)
    table[list(slots)] = 1
    found: BoolArray = cv2.LUT(labels, table).view(bool)
    return found


def touching(labels: UInt8Array, pair: Sequence[int], area: float) -> bool:
    """Tell whether two objects touch.

    Args:
        labels: (h, w) uint8, slots.
        pair: the two slots.
        area: of the smaller one, pixels.
    """
    gap = round(_GAP + _GAP_SHARE * area**0.5)
    one, other = ((labels == slot).view(np.uint8) for slot in pair)
    x, y, width, height = cv2.boundingRect(one)
    near = np.s_[max(0, y - gap) : y + height + gap, max(0, x - gap) : x + width + gap]
    if not width or not other[near].any():
        return False
    kernel = np.ones((2 * gap + 1, 2 * gap + 1), np.uint8)
    grown = cv2.dilate(one[near], kernel)
    return bool((grown & other[near]).any())
