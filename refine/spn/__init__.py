"""Spatial propagation networks, which refine score maps along affinities of the image.

The names below are loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vostrack.refine.spn.directions import DIRECTIONS, Direction
    from vostrack.refine.spn.dispatch import Impl
    from vostrack.refine.spn.gates import GateMode, normalize_gates
    from vostrack.refine.spn.light import (
        LightGuidanceHead,
        LightSpnConfig,
        mix_scores,
        refine_scores,
    )
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

_HOMES = {
    "DIRECTIONS": "directions",
    "Direction": "directions",
    "GateMode": "gates",
    "Impl": "dispatch",
    "LightGuidanceHead": "light",
    "LightSpnConfig": "light",
    "LightSpnRefiner": "refiner",
    "SpatialPropagationNetwork": "network",
    "SpnConfig": "network",
    "SpnRefiner": "refiner",
    "frozen_features": "refiner",
    "mix_scores": "light",
    "normalize_gates": "gates",
    "propagate": "propagation",
    "refine_scores": "light",
    "scan": "propagation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
