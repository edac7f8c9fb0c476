"""How much regions of a frame look like each object, as far as the given masks tell."""

from __future__ import annotations

import torch
from torch import Tensor

from vostrack.models.memory_cues import cover
from vostrack.models.target_net import TargetNet
from vostrack.online_finetune.target.cohorts import Cohorts, cohorts_of
from vostrack.online_finetune.target.frame_steps import Finding
from vostrack.online_finetune.target.memory import TrackedObjects

__all__ = ["region_likeness"]


def region_likeness(
    network: TargetNet,
    finding: Finding,
    now: TrackedObjects | Cohorts,
    regions: Tensor,
    *,
    imagined: bool = False,
) -> Tensor:
    """Compare regions with the objects' given masks, wherever they lie.

    Two answers are averaged over the cells of a region: how much better a cell matches the object
    than what surrounded it when its mask was given, as a cosine; and what the closed-form
    classifier of the given masks says, between about -1 and 1.

    Args:
        network: that made the finding.
        finding: the segmentation of the frame, with its features.
        now: the objects.
        regions: (K, h, w) bool or in [0, 1], of the whole frame.
        imagined: whether the imagined memories count, too.

    Returns:
        (2, K, N): the match and the class of each region for each object. NaN where a region has
        no cell in the window.
    """
    features = finding.features
    query = features.key
    cells = cover(
        finding.window.crop(regions.float()[:, None], antialias=False), query.shape[-2:]
    ).flatten(1)
    sums = cells.sum(1, keepdim=True)
    weights = torch.where(sums > 0, cells / sums, torch.nan)
    matches = cells.new_empty((len(now.places), cells.shape[1]))
    classes = torch.empty_like(matches)
    for slots, objects in cohorts_of(now):
        memories = [*objects.given, *objects.imagined] if imagined else objects.given
        statistics = objects.anywhere() if imagined else objects.base
        told = network.regression(features.embedding.expand(len(slots), -1, -1, -1), statistics)
        matches[list(slots)] = network.first_reader.matches(query, memories)
        classes[list(slots)] = told[:, 0].flatten(1)
    return torch.stack([weights @ matches.mT, weights @ classes.mT])
