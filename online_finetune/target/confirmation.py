"""Whether an object is in sight, as far as memories that can be trusted tell."""

from __future__ import annotations

import torch
from torch import Tensor

from vostrack.models.target_net import TargetNet
from vostrack.online_finetune.target.cohorts import Cohorts, cohorts_of
from vostrack.online_finetune.target.frame_steps import Finding
from vostrack.online_finetune.target.memory import TargetModelConfig, TrackedObjects
from vostrack.online_finetune.target.view import object_regions

__all__ = ["confirmed_presence"]


def confirmed_presence(
    network: TargetNet, finding: Finding, now: TrackedObjects | Cohorts, config: TargetModelConfig
) -> Tensor:
    """Return the logits (N,) of the objects' presence, confirmed by trusted memories.

    A tracker that has begun to follow something else remembers that, and is sure of it. So it is
    asked a second time, as if the object had been lost: without its place, and without what was
    learned from the last frames. Only the given masks count, and memories of frames that were
    confirmed themselves. The lower of the two answers is returned.

    Args:
        network: that made the finding.
        finding: the segmentation of the frame, with its features.
        now: the objects after the previous frame.
        config: how objects are tracked.
    """
    presence = finding.segmentation.presence
    regions = read = None
    if all(place.area >= config.smallest for place in now.places):
        # Objects that were followed have been compared with the same memories.
        read = finding.segmentation.read
        size = now.masks.shape[1:]
        regions = object_regions(now.places, finding.window, size, config.window)
    positions = finding.window.positions(presence.device)
    confirmed = torch.empty_like(presence)
    for slots, objects in cohorts_of(now):
        own = regions.part(slots) if regions is not None else None
        trusted = [*objects.given, *objects.kept]
        known = read if read is None or len(slots) == len(read) else read[list(slots)]
        confirmed[list(slots)] = network.presence(
            finding.features, positions, trusted, objects.base, own, known
        )
    return torch.minimum(presence, confirmed)
