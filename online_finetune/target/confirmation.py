"""Whether an object is in sight, as far as memories that can be trusted tell."""

from __future__ import annotations

import torch
from torch import Tensor

from vostrack.models.target_net import TargetNet
from vostrack.online_finetune.target.cohorts import Cohorts
from vostrack.online_finetune.target.frame_steps import Finding
from vostrack.online_finetune.target.memory import TargetModelConfig, TrackedObjects
from vostrack.online_finetune.target.view import object_regions

__all__ = ["confirmed_presence", "trusted_presence"]


def confirmed_presence(
    network: TargetNet, finding: Finding, now: TrackedObjects | Cohorts, config: TargetModelConfig
) -> Tensor:
    """Return the logits (N,) of the objects' presence, confirmed by trusted memories.

    A tracker that has begun to follow something else remembers that, and is sure of it. So it is
    asked a second time; see ``trusted_presence``. The lower of the two answers is returned.

    Args:
        network: that made the finding.
        finding: the segmentation of the frame, with its features.
        now: the objects after the previous frame.
        config: how objects are tracked.
    """
    return torch.minimum(
        finding.segmentation.presence, trusted_presence(network, finding, now, config)
    )


def trusted_presence(
    network: TargetNet, finding: Finding, now: TrackedObjects | Cohorts, config: TargetModelConfig
) -> Tensor:
    """Return the logits (N,) of the objects' presence, as trusted memories tell.

    That is as if the object had been lost: without its place, and without what was learned from the
    last frames. Only the given masks count, and memories of frames that were confirmed themselves.

    Args:
        network: that made the finding.
        finding: the segmentation of the frame, with its features.
        now: the objects after the previous frame.
        config: how objects are tracked.
    """
    read = finding.segmentation.read
    near = [place.area >= config.smallest for place in now.places]
    regions = None
    if all(near):
        regions = object_regions(now.places, finding.window, now.masks.shape[1:], config.window)
    positions = finding.window.positions(now.masks.device)
    told = torch.empty_like(finding.segmentation.presence)
    for members, objects, followed in now.groups(near):
        slots = list(members)
        trusted = [*objects.given, *objects.kept]
        own = regions.part(slots) if regions is not None else None
        # Objects that were followed have been compared with the same memories.
        known = read[slots] if followed and read is not None else None
        told[slots] = network.presence(
            finding.features, positions, trusted, objects.base, own, known
        )
    return told
