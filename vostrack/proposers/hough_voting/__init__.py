"""Instance proposals from class scores and the boxes that pixels vote for (Wu et al. 2016).

The names below are loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vostrack.proposers.hough_voting.bootstrapping import (
        Bootstrapping,
        bootstrapped_cross_entropy,
        localization_loss,
        size_weights,
    )
    from vostrack.proposers.hough_voting.boxes import decode_boxes, encode_boxes
    from vostrack.proposers.hough_voting.localizers import FcrnLocalizer, HeadLocalizer, Localizer
    from vostrack.proposers.hough_voting.mask_localizer import MaskLocalizer
    from vostrack.proposers.hough_voting.options import HoughOptions
    from vostrack.proposers.hough_voting.proposer import HoughProposer, build_hough
    from vostrack.proposers.hough_voting.suppression import Clusters, suppress
    from vostrack.proposers.hough_voting.views import ViewConfig, average_views
    from vostrack.proposers.hough_voting.votes import ClassVotes, VotingConfig, accumulate
    from vostrack.proposers.hough_voting.voting import find_instances

__all__ = [
    "Bootstrapping",
    "ClassVotes",
    "Clusters",
    "FcrnLocalizer",
    "HeadLocalizer",
    "HoughOptions",
    "HoughProposer",
    "Localizer",
    "MaskLocalizer",
    "ViewConfig",
    "VotingConfig",
    "accumulate",
    "average_views",
    "bootstrapped_cross_entropy",
    "build_hough",
    "decode_boxes",
    "encode_boxes",
    "find_instances",
    "localization_loss",
    "size_weights",
    "suppress",
]

_HOMES = {
    "Bootstrapping": "bootstrapping",
    "ClassVotes": "votes",
    "Clusters": "suppression",
    "FcrnLocalizer": "localizers",
    "HeadLocalizer": "localizers",
    "HoughOptions": "options",
    "HoughProposer": "proposer",
    "Localizer": "localizers",
    "MaskLocalizer": "mask_localizer",
    "ViewConfig": "views",
    "VotingConfig": "votes",
    "accumulate": "votes",
    "average_views": "views",
    "bootstrapped_cross_entropy": "bootstrapping",
    "build_hough": "proposer",
    "decode_boxes": "boxes",
    "encode_boxes": "boxes",
    "find_instances": "voting",
    "localization_loss": "bootstrapping",
    "size_weights": "bootstrapping",
    "suppress": "suppression",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
