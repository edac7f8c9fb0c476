"""Objects that came, or were corrected, at different times: each cohort has memories of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from vostrack.models.memory_cues import Memory
from vostrack.online_finetune.target.memory import Group, TargetModelConfig, TrackedObjects
from vostrack.online_finetune.target.places import Place, find_places

__all__ = [
    "Cohort",
    "Cohorts",
    "cohorts_of",
    "correct_members",
    "gather",
    "load_cohorts",
    "save_cohorts",
    "without",
    "without_pixels",
]

Cohort = tuple[tuple[int, ...], TrackedObjects]
"""Positions among all objects, from 0, and what is known of the objects there."""


@dataclass(frozen=True)
class Cohorts:
    """All tracked objects between two frames, in cohorts.

    The objects of a cohort were given in the same frames, so that their memories have the same
    cells. Between cohorts these differ. It stands where ``TrackedObjects`` stands.

    Attributes:
        cohorts: together they hold every position once.
        masks: (N, h, w) in [0, 1], in the previous frame.
        places: box and area of each object.
        frames: number of frames since the oldest of them was given.
        carried: number of frames since the network saw one.
    """

    cohorts: tuple[Cohort, ...]
    masks: Tensor
    places: tuple[Place, ...]
    frames: int
    carried: int = 0

    def groups(self, near: Sequence[bool]) -> list[Group]:
        """Return groups that can be segmented together; see ``Group``."""
        found = []
        for slots, objects in self.cohorts:
            for group in objects.groups([near[k] for k in slots]):
                members = tuple(slots[k] for k in group.members)
                found.append(Group(members, group.objects, group.near))
        return found

    def after(
        self,
        masks: Tensor,
        memory: Memory,
        config: TargetModelConfig,
        sure: Sequence[bool] | None = None,
    ) -> Cohorts:
        """Return the objects after a frame; see ``TrackedObjects.after``."""
        later = []
        for slots, objects in self.cohorts:
            index = torch.tensor(slots, device=masks.device)
            own = None if sure is None else [sure[k] for k in slots]
            later.append((slots, objects.after(masks[index], memory.part(index), config, own)))
        return _joined(later, masks)

    def carry(self, masks: Tensor) -> Cohorts:
        """Return the objects after a frame of carried masks; see ``TrackedObjects.carry``."""
        later = []
        for slots, objects in self.cohorts:
            index = torch.tensor(slots, device=masks.device)
            later.append((slots, objects.carry(masks[index])))
        return _joined(later, masks)


def cohorts_of(tracked: TrackedObjects | Cohorts) -> tuple[Cohort, ...]:
    """Return the cohorts of objects; ``TrackedObjects`` are one."""
    if isinstance(tracked, Cohorts):
        return tracked.cohorts
    return ((tuple(range(len(tracked.masks))), tracked),)


def gather(cohorts: Sequence[Cohort], size: Sequence[int]) -> TrackedObjects | Cohorts:
    """Put cohorts together; where all objects are of one, that one is returned.

    Args:
        cohorts: together they hold the positions 0..N-1.
        size: h and w of the frame.
    """
    if len(cohorts) == 1 and cohorts[0][0] == tuple(range(len(cohorts[0][0]))):
        return cohorts[0][1]
    if not cohorts:
        return Cohorts((), torch.zeros(0, *size), (), 0)
    count = sum(len(slots) for slots, _ in cohorts)
    masks = cohorts[0][1].masks.new_empty((count, *size))
    for slots, objects in cohorts:
        masks[list(slots)] = objects.masks
    return _joined(cohorts, masks)


def without(cohorts: Sequence[Cohort], gone: Sequence[int]) -> list[Cohort]:
    """Return the cohorts without some positions; later ones move up."""
    count = sum(len(slots) for slots, _ in cohorts)
    kept = [k for k in range(count) if k not in set(gone)]
    moved = {old: new for new, old in enumerate(kept)}
    found = []
    for slots, objects in cohorts:
        part = _members(slots, objects, [k for k in slots if k in moved])
        if part is not None:
            found.append((tuple(moved[k] for k in part[0]), part[1]))
    return found


def correct_members(
    cohorts: Sequence[Cohort], numbers: Sequence[int], seen: TrackedObjects, most: int
) -> list[Cohort]:
    """Return the cohorts after a correction; one is divided where only some were corrected.

    Args:
        cohorts: of all objects.
        numbers: positions of the corrected objects, ascending.
        seen: these objects as if the corrected frame was their first.
        most: number of corrections to keep as memories.
    """
    found = []
    for slots, objects in cohorts:
        rest = _members(slots, objects, [k for k in slots if k not in numbers])
        changed = _members(slots, objects, [k for k in slots if k in numbers])
        if rest is not None:
            found.append(rest)
        if changed is not None:
            index = torch.tensor([list(numbers).index(k) for k in changed[0]])
            index = index.to(seen.masks.device)
            memory = seen.first.part(index)
            found.append((changed[0], changed[1].correct(seen.masks[index], memory, most)))
    return found


def without_pixels(cohorts: Sequence[Cohort], taken: Tensor) -> list[Cohort]:
    """Take pixels (h, w) bool of the previous frame away from all objects."""
    found = []
    for slots, objects in cohorts:
        masks = objects.masks.masked_fill(taken, 0)
        found.append((slots, replace(objects, masks=masks, places=find_places(masks))))
    return found


def save_cohorts(cohorts: Sequence[Cohort], first: TrackedObjects) -> list[dict[str, Any]]:
    """Return cohorts as tensors and numbers; the memory of the first frame is not repeated."""
    saved = []
    for slots, objects in cohorts:
        state = objects.state_dict()
        if objects.first is first.first:
            del state["first"], state["origin"]
        saved.append({**state, "slots": list(slots)})
    return saved


def load_cohorts(saved: Sequence[Mapping[str, Any]], first: TrackedObjects) -> list[Cohort]:
    """Restore the result of ``save_cohorts``."""
    return [
        (
            tuple(state["slots"]),
            TrackedObjects.from_state(state, None if "first" in state else first),
        )
        for state in saved
    ]


def _members(
    slots: tuple[int, ...], objects: TrackedObjects, wanted: Sequence[int]
) -> Cohort | None:
    """Return some of the objects of a cohort; None for none of them."""
    if not wanted:
        return None
    if len(wanted) == len(slots):
        return slots, objects
    numbers = [slots.index(k) for k in wanted]
    index = torch.tensor(numbers, device=objects.masks.device)
    return tuple(wanted), objects.part(index, numbers)


def _joined(cohorts: Sequence[Cohort], masks: Tensor) -> Cohorts:
    places = {k: place for s, o in cohorts for k, place in zip(s, o.places, strict=True)}
    frames = max(objects.frames for _, objects in cohorts)
    carried = max(objects.carried for _, objects in cohorts)
    found = tuple(places[k] for k in range(len(places)))
    return Cohorts(tuple(cohorts), masks, found, frames, carried)
