"""Instance proposals from class scores and detections, by two dense CRFs (Arnab and Torr 2016).

The names below are loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vostrack.proposers.detection_crf.build import build_detection_crf
    from vostrack.proposers.detection_crf.detectors import PreviousObjects, TorchvisionDetector
    from vostrack.proposers.detection_crf.foreground import grabcut_foregrounds
    from vostrack.proposers.detection_crf.instances import identify_instances
    from vostrack.proposers.detection_crf.network import (
        DetectionCrf,
        DetectionCrfConfig,
        DetectionCrfOutput,
    )
    from vostrack.proposers.detection_crf.options import DetectionCrfOptions
    from vostrack.proposers.detection_crf.potentials import (
        DetectionPotentialConfig,
        DetectionPotentials,
    )
    from vostrack.proposers.detection_crf.proposer import DetectionCrfProposer, ProposerConfig

__all__ = [
    "DetectionCrf",
    "DetectionCrfConfig",
    "DetectionCrfOptions",
    "DetectionCrfOutput",
    "DetectionCrfProposer",
    "DetectionPotentialConfig",
    "DetectionPotentials",
    "PreviousObjects",
    "ProposerConfig",
    "TorchvisionDetector",
    "build_detection_crf",
    "grabcut_foregrounds",
    "identify_instances",
]

_HOMES = {
    "DetectionCrf": "network",
    "DetectionCrfConfig": "network",
    "DetectionCrfOptions": "options",
    "DetectionCrfOutput": "network",
    "DetectionCrfProposer": "proposer",
    "DetectionPotentialConfig": "potentials",
    "DetectionPotentials": "potentials",
    "PreviousObjects": "detectors",
    "ProposerConfig": "proposer",
    "TorchvisionDetector": "detectors",
    "build_detection_crf": "build",
    "grabcut_foregrounds": "foreground",
    "identify_instances": "instances",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
