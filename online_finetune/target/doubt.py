"""Objects that are followed where they are not: they are searched in the whole frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from vostrack.models.memory_cues import Statistics
from vostrack.models.target_net import TargetNet
from vostrack.online_finetune.target.cohorts import Cohorts, cohorts_of, gather
from vostrack.online_finetune.target.frame_steps import Finding, find_objects, spread_scores
from vostrack.online_finetune.target.likeness import region_likeness
from vostrack.online_finetune.target.memory import TargetModelConfig, TrackedObjects
from vostrack.online_finetune.target.places import Place

__all__ = ["FoundElsewhere", "find_elsewhere", "with_imagined", "without_later"]

_VISIBLE = 0.5
# A region must be more like the object than what is followed, by this much in both answers.
_BETTER = 0.1
# No more of a region may belong to other objects.
_TAKEN = 0.3


@dataclass(frozen=True)
class FoundElsewhere:
    """What a search in the whole frame gave.

    Attributes:
        finding: of the whole frame.
        scores: (N, h, w) in [0, 1]; only those of objects that were found have changed.
        slots: positions of these objects, from 0.
    """

    finding: Finding
    scores: Tensor
    slots: tuple[int, ...]


def find_elsewhere(
    network: TargetNet,
    image: Tensor,
    now: TrackedObjects | Cohorts,
    followed: tuple[Finding, Tensor],
    config: TargetModelConfig,
) -> FoundElsewhere | None:
    """Search the objects that look like anything but themselves.

    A tracker can slide from an object to what is beside it, bit by bit, and remembers every bit.
    So a mask is compared with the given ones. If both answers are that it is rather background (see
    ``region_likeness``), the object is searched in the whole frame, as if it had been lost, without
    what was learned later. Pieces that are clearly more like it, and that nothing else covers, are
    the object.

    Args:
        network: on its device.
        image: (3, h, w) in [0, 1].
        now: the objects after the previous frame.
        followed: the segmentation of the frame, and its scores (N, h, w) in [0, 1].
        config: how objects are tracked.

    Returns:
        What was found; None if nothing was.
    """
    finding, scores = followed
    masks = scores > 0.5
    told = region_likeness(network, finding, now, masks).diagonal(dim1=1, dim2=2)
    followed_here = torch.tensor([place.area >= config.smallest for place in now.places])
    doubtful = (told < 0).all(0).cpu() & followed_here
    if not doubtful.any():
        return None
    now = with_imagined(network, now, config)
    nowhere = (Place(None, 0),) * len(now.places)
    lost = _changed(now, lambda one: replace(one, kept=[], places=nowhere[: len(one.places)]))
    found = find_objects(network, image, lost, config, everywhere=True)
    there = found.segmentation.presence.sigmoid() >= _VISIBLE
    everywhere = spread_scores(found, lost, image.shape[1:], config)
    slots, changed = [], scores.clone()
    for slot in torch.nonzero(doubtful)[:, 0].tolist():
        if not there[slot]:
            continue
        pieces = _pieces(everywhere[slot], masks, slot, config.smallest)
        if pieces is None:
            continue
        compared = torch.cat([masks[slot][None], pieces])
        likeness = region_likeness(network, found, now, compared, imagined=True)[:, :, slot]
        better = (likeness[:, 1:] >= likeness[:, :1] + _BETTER).all(0)
        if better.any():
            slots.append(slot)
            changed[slot] = everywhere[slot] * pieces[better].any(0)
    return FoundElsewhere(found, changed, tuple(slots)) if slots else None


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


def _pieces(scores: Tensor, followed: Tensor, slot: int, smallest: int) -> Tensor | None:
    """Return the pieces (K, h, w) bool of an object that was found apart from where it is followed.

    Args:
        scores: (h, w) in [0, 1], of the object where it was searched.
        followed: (N, h, w) bool, where all objects are followed.
        slot: position of the object, from 0.
        smallest: pixels of a piece.
    """
    count, numbers = cv2.connectedComponents(
        (scores > 0.5).to(torch.uint8).cpu().numpy(), connectivity=8
    )
    own = followed[slot].cpu().numpy()
    others = followed.any(0).cpu().numpy()
    pieces = []
    for number in range(1, count):
        piece = numbers == number
        area = int(piece.sum())
        if area >= smallest and not own[piece].any() and others[piece].mean() <= _TAKEN:
            pieces.append(piece)
    return torch.from_numpy(np.stack(pieces)).to(scores.device) if pieces else None
