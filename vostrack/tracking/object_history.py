"""What is known of the movement and the state of each object from frame to frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from vostrack.arrays import UInt8Array
from vostrack.tracking.pixel_sums import pixel_sums

__all__ = ["ObjectHistory", "ObjectState", "follow_objects", "new_history"]

ObjectState = Literal["tracked", "shrunk", "occluded", "lost", "found"]

# An object counts as visible from this presence on.
_VISIBLE = 0.5
# Frames without it after which an occluded object counts as lost.
_PATIENCE = 15
# A visible object with less than this share of its usual area is shrunk.
_SHRUNK = 0.5
# Weights of the newest frame in the velocity and in the usual area.
_VELOCITY_SHARE = 0.4
_AREA_SHARE = 0.05


@dataclass(frozen=True)
class ObjectHistory:
    """One object after a frame.

    Attributes:
        state: see ``FrameResult.states``.
        center: x and y where it was seen last, in pixels of the frame; None if never.
        velocity: x and y, in pixels per frame, smoothed.
        usual_area: running mean of its area, in pixels of the frame.
        unseen: number of frames since it was seen; negative if its mask was given behind so many
            missing frames, which then do not count.
    """

    state: ObjectState = "tracked"
    center: tuple[float, float] | None = None
    velocity: tuple[float, float] = (0.0, 0.0)
    usual_area: float = 0.0
    unseen: int = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the attributes by name."""
        return asdict(self)

    @staticmethod
    def from_state(state: dict[str, Any]) -> ObjectHistory:
        """Restore the result of ``state_dict``."""
        center = state["center"]
        return ObjectHistory(
            state["state"],
            None if center is None else tuple(center),
            tuple(state["velocity"]),
            state["usual_area"],
            state["unseen"],
        )


def new_history(
    labels: UInt8Array, slot: int, scale: tuple[float, float], missing: int = 0
) -> ObjectHistory:
    """Return the history of an object whose mask was given.

    Args:
        labels: (h, w) uint8, slots.
        slot: of the object.
        scale: pixels of the frame per pixel of the label map, along x and y.
        missing: number of frames that were missing just before the mask.
    """
    area, center = _measure(labels, slot, scale)
    if center is None:
        return ObjectHistory("occluded", unseen=1)
    return ObjectHistory("tracked", center, usual_area=area, unseen=-missing)


def follow_objects(
    histories: Sequence[ObjectHistory],
    labels: UInt8Array,
    presence: Sequence[float],
    scale: tuple[float, float],
    missing: int = 0,
) -> tuple[ObjectHistory, ...]:
    """Return the histories after a frame.

    Args:
        histories: before the frame.
        labels: (h, w) uint8, the label map of the frame; slots.
        presence: of each object, in [0, 1].
        scale: see ``new_history``.
        missing: number of frames that were missing just before this one.
    """
    return tuple(
        _followed(history, *_measure(labels, slot, scale), seen, missing)
        for slot, (history, seen) in enumerate(zip(histories, presence, strict=True), start=1)
    )


def _followed(
    history: ObjectHistory,
    area: float,
    center: tuple[float, float] | None,
    presence: float,
    missing: int,
) -> ObjectHistory:
    if center is None or presence < _VISIBLE:
        unseen = history.unseen + 1 + missing
        state: ObjectState = "occluded" if unseen <= _PATIENCE else "lost"
        return replace(history, state=state, unseen=unseen)
    usual = history.usual_area or area
    state = "shrunk" if area < _SHRUNK * usual else "tracked"
    if history.unseen > 0:
        state = "found"
    velocity = history.velocity
    if history.center is not None:
        frames = history.unseen + 1 + missing
        velocity = (
            _smoothed(velocity[0], (center[0] - history.center[0]) / frames),
            _smoothed(velocity[1], (center[1] - history.center[1]) / frames),
        )
    return ObjectHistory(state, center, velocity, usual + _AREA_SHARE * (area - usual))


def _smoothed(before: float, now: float) -> float:
    return before + _VELOCITY_SHARE * (now - before)


def _measure(
    labels: UInt8Array, slot: int, scale: tuple[float, float]
) -> tuple[float, tuple[float, float] | None]:
    """Return the area of an object and its center, in pixels of the frame."""
    pixels, x, y = pixel_sums(labels == slot)
    if not pixels:
        return 0.0, None
    center = ((x / pixels + 0.5) * scale[0], (y / pixels + 0.5) * scale[1])
    return pixels * scale[0] * scale[1], center
