"""Objects that are followed where they are not: they are searched in the whole frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from vostrack.arrays import BoolArray, UInt8Array
from vostrack.models.memory_cues import Statistics
from vostrack.models.target_net import TargetNet
from vostrack.online_finetune.target.cohorts import Cohorts, cohorts_of, gather, without
from vostrack.online_finetune.target.frame_steps import Finding, find_objects, spread_scores
from vostrack.online_finetune.target.likeness import region_likeness
from vostrack.online_finetune.target.memory import TargetModelConfig, TrackedObjects
from vostrack.online_finetune.target.places import Place

__all__ = [
    "FoundElsewhere",
    "doubtful_objects",
    "find_elsewhere",
    "with_imagined",
    "without_later",
]

_VISIBLE = 0.5
# A region must be more like the object than what is followed, by this much in both answers.
_BETTER = 0.1
# No more of a region may belong to other objects.
_TAKEN = 0.3


@dataclass(frozen=True)
class FoundElsewhere:
    """What a search in the whole frame gave.

    Attributes:
        finding: of the whole frame; its segmentation is that of the doubtful objects alone.
        scores: (N, h, w) in [0, 1]; only those of objects that were found have changed.
        slots: positions of these objects, from 0.
        presence: (len(slots),) logits of their presence.
    """

    finding: Finding
    scores: Tensor
    slots: tuple[int, ...]
    presence: Tensor


def doubtful_objects(
    network: TargetNet,
    now: TrackedObjects | Cohorts,
    followed: tuple[Finding, Tensor],
    config: TargetModelConfig,
) -> list[int]:
    """Return the positions, from 0, of objects that look like anything but themselves.

    A tracker can slide from an object to what is beside it, bit by bit, and remembers every bit.
    So a mask is compared with the given ones. An object is in doubt if both answers are that its
    mask is rather background; see ``region_likeness``.

    Args:
        network: on its device.
        now: the objects after the previous frame.
        followed: the segmentation of the frame, and its scores (N, h, w) in [0, 1].
        config: how objects are tracked.
    """
    finding, scores = followed
    told = region_likeness(network, finding, now, scores > 0.5).diagonal(dim1=1, dim2=2)
    unlike = (told < 0).all(0).tolist()
    return [k for k, place in enumerate(now.places) if unlike[k] and place.area >= config.smallest]


def find_elsewhere(
    network: TargetNet,
    image: Tensor,
    now: TrackedObjects | Cohorts,
    scores: Tensor,
    doubtful: Sequence[int],
    config: TargetModelConfig,
) -> FoundElsewhere | None:
    """Search doubtful objects.

    They are searched in the whole frame, as if they had been lost, without what was learned later.
    Pieces that are clearly more like an object than what is followed, and that nothing else covers,
    are the object.

    Args:
        network: on its device.
        image: (3, h, w) in [0, 1].
        now: the objects after the previous frame, with their imagined memories.
        scores: (N, h, w) in [0, 1] where all objects are followed.
        doubtful: positions of the objects, from 0.
        config: how objects are tracked.

    Returns:
        What was found; None if nothing was.
    """
    masks = scores > 0.5
    others = [k for k in range(len(masks)) if k not in doubtful]
    searched = gather(without(cohorts_of(now), others), now.masks.shape[1:])
    nowhere = (Place(None, 0),) * len(masks)
    lost = _changed(searched, lambda one: replace(one, kept=[], places=nowhere[: len(one.places)]))
    found = find_objects(network, image, lost, config, everywhere=True)
    there = (found.segmentation.presence.sigmoid() >= _VISIBLE).tolist()
    if not any(there):
        return None
    everywhere = spread_scores(found.drawn, lost, image.shape[1:], config)
    # All objects at once: the host waits for a device once.
    maps = torch.cat([everywhere > 0.5, masks]).to(torch.uint8).cpu().numpy()
    pieces_found, followed = maps[: len(doubtful)], maps[len(doubtful) :]
    numbers, changed = [], scores.clone()
    for number, slot in enumerate(doubtful):
        if not there[number]:
            continue
        parts = _pieces(pieces_found[number], followed, slot, config.smallest)
        if not parts:
            continue
        pieces = torch.from_numpy(np.stack(parts)).to(scores.device)
        compared = torch.cat([masks[slot][None], pieces])
        likeness = region_likeness(network, found, searched, compared, imagined=True)[:, :, number]
        better = (likeness[:, 1:] >= likeness[:, :1] + _BETTER).all(0)
        if better.any():
            numbers.append(number)
            changed[slot] = everywhere[number] * pieces[better].any(0)
    if not numbers:
        return None
    slots = tuple(doubtful[number] for number in numbers)
    return FoundElsewhere(found, changed, slots, found.segmentation.presence[numbers])


def with_imagined(
    network: TargetNet, now: TrackedObjects | Cohorts, config: TargetModelConfig
) -> TrackedObjects | Cohorts:
    """Return the objects with their imagined memories, which are made once; see ``Origin``."""
    size = now.masks.shape[1:]

    def imagine(one: TrackedObjects) -> TrackedObjects:
        if one.origin is None or not config.imagined:
            return one
        origin = one.origin.remembered(
            network, size, config.window, config.imagined, config.precision
        )
        return one if origin is one.origin else replace(one, origin=origin)

    return _changed(now, imagine)


def without_later(now: TrackedObjects | Cohorts, wrong: Sequence[int]) -> TrackedObjects | Cohorts:
    """Forget what was learned of some objects since their masks were given.

    Memories hold all objects of a cohort, so they are dropped for all of these.

    Args:
        now: the objects.
        wrong: positions of those that were followed where they are not, from 0.
    """

    def forget(slots: tuple[int, ...], one: TrackedObjects) -> TrackedObjects:
        own = [k for k, slot in enumerate(slots) if slot in wrong]
        if not own:
            return one
        later = one.later
        if later is not None:
            gram, moment = later.gram.clone(), later.moment.clone()
            gram[own], moment[own] = one.base.gram[own], one.base.moment[own]
            later = Statistics(gram, moment)
        return replace(one, kept=[], later=later)

    found = [(slots, forget(slots, one)) for slots, one in cohorts_of(now)]
    return gather(found, now.masks.shape[1:])


def _changed(
    now: TrackedObjects | Cohorts, change: Callable[[TrackedObjects], TrackedObjects]
) -> TrackedObjects | Cohorts:
    found = [(slots, change(one)) for slots, one in cohorts_of(now)]
    return gather(found, now.masks.shape[1:])


def _pieces(found: UInt8Array, followed: UInt8Array, slot: int, smallest: int) -> list[BoolArray]:
    """Return the pieces (h, w) of an object that was found apart from where it is followed.

    Args:
        found: (h, w) 0 or 1, of the object where it was searched.
        followed: (N, h, w) 0 or 1, where all objects are followed.
        slot: position of the object, from 0.
        smallest: pixels of a piece.
    """
    own: UInt8Array = followed[slot]
    others: BoolArray = followed.max(axis=0) > 0
    count, numbers = cv2.connectedComponents(found, connectivity=8)
    pieces = []
    for number in range(1, count):
        piece = numbers == number
        area = int(piece.sum())
        if area >= smallest and not own[piece].any() and others[piece].mean() <= _TAKEN:
            pieces.append(piece)
    return pieces
