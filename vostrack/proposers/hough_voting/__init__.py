"""Instance proposals from class scores and the boxes that pixels vote for (Wu et al. 2016)."""

from vostrack.proposers.hough_voting.bootstrapping import (
    Bootstrapping,
    bootstrapped_cross_entropy,
    localization_loss,
    size_weights,
)
from vostrack.proposers.hough_voting.boxes import decode_boxes, encode_boxes
from vostrack.proposers.hough_voting.localizers import FcrnLocalizer, HeadLocalizer, Localizer
from vostrack.proposers.hough_voting.mask_localizer import MaskLocalizer
from vostrack.proposers.hough_voting.proposer import HoughOptions, HoughProposer, build_hough
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
