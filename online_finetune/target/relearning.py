"""The memories of a video's objects, made anew by a network that was fine-tuned again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vostrack.models.memory_cues import Memory
from vostrack.models.target_net import TargetNet
from vostrack.online_finetune.target.cohorts import Cohort
from vostrack.online_finetune.target.frame_steps import begin_objects
from vostrack.online_finetune.target.given_frames import GivenFrame
from vostrack.online_finetune.target.imagined_frames import Origin
from vostrack.online_finetune.target.memory import TargetModelConfig, TrackedObjects
from vostrack.online_finetune.target.places import find_places

__all__ = ["relearned"]


def relearned(
    network: TargetNet,
    cohorts: Sequence[Cohort],
    given: Sequence[GivenFrame],
    image: Tensor,
    config: TargetModelConfig,
) -> list[Cohort]:
    """Return the objects as if their masks had been given to this network.

    Args:
        network: the network that goes on with them.
        cohorts: the objects as they are now.
        given: the frames with given masks, oldest first; the newest is the present one.
        image: (3, h, w) in [0, 1], the present frame.
        config: how objects are tracked.
    """
    device = image.device
    memories = [
        begin_objects(
            network, frame.pixels(device), frame.masks(device), config, frame.void(device)
        ).first
        for frame in given
    ]
    found = []
    for group in _groups(cohorts, given):
        index = torch.tensor([slot - 1 for slot in group.slots], device=device)
        seen = [_part(memories[k], given[k], group.slots) for k in group.frames]
        if group.frames[-1] == len(given) - 1:
            recent = seen[-1]
        else:
            recent = begin_objects(network, image, group.masks, config).first
        base = seen[0].statistics
        for count, memory in enumerate(seen[1:], start=1):
            base = base.mixed(memory.statistics, 1 / (count + 1))
        objects = TrackedObjects(
            group.masks,
            find_places(group.masks),
            seen[0],
            [],
            recent,
            base,
            None,
            group.age,
            tuple(seen[1:]),
            len(seen) - 1,
            Origin.of(given[group.frames[0]].pixels(device), _masks(given, group), config.window),
        )
        found.append((tuple(index.tolist()), objects))
    return found


@dataclass(frozen=True)
class _Group:
    """Objects whose memories are of the same frames.

    Attributes:
        slots: ascending, from 1.
        frames: positions of their given frames.
        masks: (N, h, w) in [0, 1], where they are now.
        age: number of frames since they were given first.
    """

    slots: tuple[int, ...]
    frames: tuple[int, ...]
    masks: Tensor
    age: int


def _groups(cohorts: Sequence[Cohort], given: Sequence[GivenFrame]) -> list[_Group]:
    masks = {
        slot + 1: objects.masks[k] for slots, objects in cohorts for k, slot in enumerate(slots)
    }
    ages = {slot + 1: objects.frames for slots, objects in cohorts for slot in slots}
    alike: dict[tuple[tuple[int, ...], int], list[int]] = {}
    for slot in sorted(masks):
        frames = tuple(k for k, frame in enumerate(given) if slot in frame.slots)
        alike.setdefault((frames, ages[slot]), []).append(slot)
    return [
        _Group(tuple(slots), frames, torch.stack([masks[slot] for slot in slots]), age)
        for (frames, age), slots in alike.items()
    ]


def _masks(given: Sequence[GivenFrame], group: _Group) -> Tensor:
    """Return the masks (N, h, w) of a group in its first given frame."""
    first = given[group.frames[0]]
    return replace(first, slots=group.slots).masks(group.masks.device)


def _part(memory: Memory, frame: GivenFrame, slots: Sequence[int]) -> Memory:
    index = torch.tensor([frame.slots.index(slot) for slot in slots], device=memory.mask.device)
    return memory.part(index)
