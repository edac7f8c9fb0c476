"""Spatial propagation networks, which refine score maps along affinities of the image."""

from vostrack.refine.spn.directions import DIRECTIONS, Direction
from vostrack.refine.spn.dispatch import Impl
from vostrack.refine.spn.gates import GateMode, normalize_gates
from vostrack.refine.spn.light import LightGuidanceHead, LightSpnConfig, mix_scores, refine_scores
from vostrack.refine.spn.network import SpatialPropagationNetwork, SpnConfig
from vostrack.refine.spn.propagation import propagate, scan
from vostrack.refine.spn.refiner import LightSpnRefiner, SpnRefiner, frozen_features

__all__ = [
    "DIRECTIONS",
    "Direction",
    "GateMode",
    "Impl",
    "LightGuidanceHead",
    "LightSpnConfig",
    "LightSpnRefiner",
    "SpatialPropagationNetwork",
    "SpnConfig",
    "SpnRefiner",
    "frozen_features",
    "mix_scores",
    "normalize_gates",
    "propagate",
    "refine_scores",
    "scan",
]
