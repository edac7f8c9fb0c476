"""The proposer from the command line's options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vostrack.errors import InputError
from vostrack.models.weights import shipped_weights
from vostrack.proposers.displacement.networks import load_displacement_net
from vostrack.proposers.displacement.proposer import DisplacementConfig, DisplacementProposer
from vostrack.proposers.displacement.selection import SelectionConfig
from vostrack.proposers.sources import ProposerSources

__all__ = ["DisplacementOptions", "build_displacement"]


@dataclass(frozen=True)
class DisplacementOptions:
    """Settings of displacement that the command line offers.

    Attributes:
        weights: network that vostrack train siseg wrote; the shipped one by default.
        longest: label maps are scaled to this length of their longer side, pixels.
        boundaries: whether class boundaries and a random walk refine the instances.
        edges: mask keeps the edges of the semantic mask; walk draws them by the random walk.
        split: whether each connected piece of a result is an instance of its own.
        min_pixels: smaller instances are left out.
        max_proposals: at most so many for an image, the best first.
        save_fields: folder for a picture of displacement field, centres, boundaries and instances
            of every image.
    """

    weights: Path | None = None
    longest: int = DisplacementConfig().longest
    boundaries: bool = True
    edges: Literal["mask", "walk"] = SelectionConfig().edges
    split: bool = SelectionConfig().split
    min_pixels: int = SelectionConfig().min_pixels
    max_proposals: int = SelectionConfig().max_proposals
    save_fields: Path | None = None


def build_displacement(
    options: DisplacementOptions, sources: ProposerSources
) -> DisplacementProposer:
    """Wire the proposer.

    Raises:
        InputError: an option is out of its range, the weights cannot be read, or the sources hold
            detections, which this method does not use.
    """
    if sources.detections is not None:
        raise InputError("displacement: uses no detections; leave out --detections")
    config = DisplacementConfig(
        longest=options.longest,
        boundaries=options.boundaries,
        selection=SelectionConfig(
            edges=options.edges,
            split=options.split,
            min_pixels=options.min_pixels,
            max_proposals=options.max_proposals,
        ),
    )
    network = load_displacement_net(options.weights or shipped_weights("displacement"))
    return DisplacementProposer(
        network,
        sources.semantic,
        sources.semantic_masks,
        config,
        device=sources.device,
        save_fields=options.save_fields,
    )
