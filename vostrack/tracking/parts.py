"""The optional parts of a tracker: whether they fit together, and loading them in advance."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from vostrack.arrays import UInt8Array
from vostrack.checks import check_argument
from vostrack.errors import InputError
from vostrack.protocols import InstanceProposer, ObjectAdapter, TemporalFilter

__all__ = [
    "EditsObjects",
    "FollowsEdits",
    "ForgetsPlaces",
    "HasWarmUp",
    "JudgesRegions",
    "LearnsLaterFrames",
    "LooksEverywhere",
    "Refits",
    "Rehearses",
    "SkipsStages",
    "check_editable",
    "check_learns_later",
    "check_parts",
    "check_time_limit",
    "forget_places",
    "warm_up_parts",
]


@runtime_checkable
class HasWarmUp(Protocol):
    """Optional interface of a part whose first use loads code, such as compiled loops."""

    def warm_up(self, device: torch.device) -> None:
        """Load it, so that the first frame takes no longer than the others.

        ``Tracker.start`` and ``Tracker.load_state`` call it. It must not change any result.

        Args:
            device: device of the tensors that the part will receive.
        """
        ...


@runtime_checkable
class EditsObjects(Protocol):
    """Optional interface of an ``ObjectAdapter`` whose objects can change after ``start``.

    The frame is always the one that was scored and committed last, and the label map holds all
    objects of it: (h, w) int64; 0 background, 1..N object slots, 255 void.
    """

    def add_objects(self, image: Tensor, labels: Tensor) -> None:
        """Learn further objects. They get the slots after the present ones.

        Args:
            image: (3, h, w) float in [0, 1].
            labels: label map with the new objects; slots above the present number are new.
        """
        ...

    def correct_objects(self, image: Tensor, labels: Tensor, slots: Sequence[int]) -> None:
        """Learn the right masks of some objects.

        Args:
            image: (3, h, w) float in [0, 1].
            labels: label map with the right masks. A corrected object without a pixel is not in
                this frame.
            slots: the corrected objects, in 1..N.
        """
        ...

    def remove_objects(self, slots: Sequence[int]) -> None:
        """Forget some objects. Later slots move up.

        Args:
            slots: the objects, in 1..N.
        """
        ...


@runtime_checkable
class Refits(Protocol):
    """Optional interface of an ``EditsObjects`` that fine-tunes in a call of its own.

    ``add_objects`` and ``correct_objects`` then take little time.
    """

    def can_refit(self) -> bool:
        """Tell whether there is anything to fine-tune, as it is configured."""
        ...

    def refit(self, image: Tensor) -> None:
        """Fine-tune on all masks that were given so far, after one of them was added or corrected.

        Args:
            image: (3, h, w) float in [0, 1], the frame of that mask.
        """
        ...


@runtime_checkable
class FollowsEdits(Protocol):
    """Optional interface of a ``TemporalFilter`` whose objects can change after ``start``."""

    def change_objects(self, labels: UInt8Array, before: Sequence[int | None]) -> None:
        """Go on with other objects.

        Args:
            labels: (h, w) uint8, the label map of the last frame with the new slots 1..N.
            before: for each new slot, the old one; None for an object that is new or corrected.
        """
        ...


@runtime_checkable
class ForgetsPlaces(Protocol):
    """Optional interface of an ``ObjectAdapter`` or ``TemporalFilter`` that expects motion."""

    def forget_places(self) -> None:
        """Forget where the objects were: a new shot begins with the next frame."""
        ...


@runtime_checkable
class JudgesRegions(Protocol):
    """Optional interface of an ``ObjectAdapter`` that can compare regions with its objects."""

    def likeness(self, regions: Tensor) -> Tensor | None:
        """Compare regions of the frame scored last with the masks that were given.

        Args:
            regions: (K, h, w) bool.

        Returns:
            (2, K, N): how much better each region matches each object than what surrounded it when
            its mask was given, as a cosine; and the class that the object's own model gives the
            region, -1 for the background to 1 for the object. NaN where nothing is known of a
            region; None before the first ``scores`` and after each ``commit``.
        """
        ...


@runtime_checkable
class LooksEverywhere(Protocol):
    """Optional interface of an ``ObjectAdapter`` that sees only a window of each frame."""

    def look_everywhere(self) -> None:
        """See the whole of the next frame, so that its regions can be compared with objects."""
        ...


@runtime_checkable
class Rehearses(Protocol):
    """Optional interface of an ``ObjectAdapter`` whose ``start`` takes long."""

    def rehearse(self, image: Tensor, labels: Tensor) -> None:
        """Do what ``start`` does, without fine-tuning; see ``Tracker.warm_up``."""
        ...


@runtime_checkable
class LearnsLaterFrames(Protocol):
    """Optional interface of an ``ObjectAdapter`` that can learn from several frames at once."""

    def start_with(
        self, image: Tensor, labels: Tensor, later: Sequence[tuple[Tensor, Tensor]]
    ) -> None:
        """Do what ``start`` does, and learn from later frames as well.

        Args:
            image: (3, h, w) float in [0, 1].
            labels: (h, w) int64; 0 background, 1..N object slots, 255 void.
            later: frames and label maps of the same form, whose masks are likely but not certain.
                Every object has pixels in each of them.
        """
        ...


@runtime_checkable
class SkipsStages(Protocol):
    """Optional interface of an ``ObjectAdapter`` that can leave out parts of its work."""

    def optional_stages(self) -> Mapping[str, float]:
        """Return the parts that can be left out, in the order of doing so.

        Returns:
            The share of each in the time of ``scores``, in [0, 1), by name.
        """
        ...

    def skip_stages(self, names: Collection[str]) -> None:
        """Leave out these parts in the next frame. Names of other stages say nothing."""
        ...


def forget_places(*parts: object) -> None:
    """Tell every part that can forget places that a new shot begins; the others are skipped."""
    for part in parts:
        if isinstance(part, ForgetsPlaces):
            part.forget_places()


def check_editable(
    call: str, adapter: ObjectAdapter, temporal_filter: TemporalFilter | None
) -> EditsObjects:
    """Refuse to change objects that a part could not change; return the adapter.

    Args:
        call: names the call in the error.
        adapter: the object models.
        temporal_filter: the filter, if any.

    Raises:
        InputError: a part lacks the methods.
    """
    if not isinstance(adapter, EditsObjects):
        raise InputError(
            f"{call}: the objects of {type(adapter).__name__} cannot change after start; call "
            "start again with all objects, or give the adapter the methods of "
            "`vostrack.tracking.parts.EditsObjects`"
        )
    if temporal_filter is not None and not isinstance(temporal_filter, FollowsEdits):
        raise InputError(
            f"{call}: the filter {type(temporal_filter).__name__} cannot follow objects that "
            "change after start; set tracker.temporal_filter = None, or give it the method of "
            "`vostrack.tracking.parts.FollowsEdits`"
        )
    return adapter


def check_time_limit(call: str, adapter: ObjectAdapter, max_ms: float | None) -> None:
    """Refuse a time limit for learning that is negative, or that an adapter cannot keep.

    Args:
        call: names the call in the error.
        adapter: the object models.
        max_ms: milliseconds; None for no limit.

    Raises:
        InputError: it is refused.
    """
    if max_ms is None:
        return
    check_argument("max_ms", max_ms, "0 milliseconds or more", lambda ms: ms >= 0)
    if not isinstance(adapter, Refits):
        raise InputError(
            f"max_ms: with {type(adapter).__name__}, {call} cannot do without fine-tuning; leave "
            "`max_ms` out, or use a preset with target models"
        )


def check_learns_later(adapter: ObjectAdapter) -> LearnsLaterFrames:
    """Refuse later frames that an adapter could not learn from; return the adapter.

    Raises:
        InputError: it lacks the method.
    """
    if not isinstance(adapter, LearnsLaterFrames):
        raise InputError(
            f"later: {type(adapter).__name__} learns from the first frame only; leave `later` out, "
            "or give the adapter the method of `vostrack.tracking.parts.LearnsLaterFrames`"
        )
    return adapter


def warm_up_parts(device: torch.device, *parts: object) -> None:
    """Warm up every part that can be; the others are skipped."""
    for part in parts:
        if isinstance(part, HasWarmUp):
            part.warm_up(device)


def check_parts(
    proposer: InstanceProposer | None, temporal_filter: TemporalFilter | None, asks: bool = False
) -> None:
    """Refuse a proposer that nothing would ask, and a part that has none to ask.

    Args:
        proposer: if any.
        temporal_filter: it asks the proposer.
        asks: whether another part asks it, too.

    Raises:
        InputError: there is a proposer, but nothing asks it; or the other way round.
    """
    if proposer is not None and temporal_filter is None and not asks:
        raise InputError(
            "proposer: the temporal filter asks it where lost objects may reappear, and this "
            "tracker has none; set tracker.temporal_filter = vostrack.refine.craf.Craf(), build "
            "the tracker with TrackerOptions(craf=True) or TrackerOptions(reacquire=True), or set "
            "tracker.proposer = None"
        )
    if proposer is None and asks:
        raise InputError(
            "proposer: the tracker's support asks a proposer, and there is none; set "
            "tracker.proposer, or build the tracker without `reacquire` and `support`"
        )
