"""The proposer from the command line's options."""

from __future__ import annotations

from vostrack.errors import InputError
from vostrack.models.weights import shipped_weights
from vostrack.proposers.displacement.grouping import GroupingConfig
from vostrack.proposers.displacement.networks import load_displacement_net
from vostrack.proposers.displacement.options import DisplacementOptions
from vostrack.proposers.displacement.proposer import DisplacementConfig, DisplacementProposer
from vostrack.proposers.displacement.selection import SelectionConfig
from vostrack.proposers.sources import ProposerSources

__all__ = ["build_displacement"]


def build_displacement(
    options: DisplacementOptions, sources: ProposerSources
) -> DisplacementProposer:
    """Wire the proposer.

    Raises:
        InputError: an option is out of its range, the weights cannot be read, or the sources hold
            detections, which this method does not use.
    """
    if sources.detections is not None:
        raise InputError("displacement: uses no detections; leave `detections` out")
    config = DisplacementConfig(
        longest=options.longest,
        boundaries=options.boundaries,
        pieces=options.pieces,
        grouping=GroupingConfig() if options.merge else None,
        # Whole pieces are right more often; without pieces, all are parts of one class.
        cut_score=DisplacementConfig.cut_score if options.pieces else 1.0,
        selection=SelectionConfig(
            edges=options.edges,
            split=options.split,
            min_pixels=options.min_pixels,
            half_score=options.half_score,
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
