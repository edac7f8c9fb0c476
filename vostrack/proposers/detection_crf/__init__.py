"""Instance proposals from class scores and detections, by two dense CRFs (Arnab and Torr 2016)."""

from vostrack.proposers.detection_crf.build import DetectionCrfOptions, build_detection_crf
from vostrack.proposers.detection_crf.detectors import PreviousObjects, TorchvisionDetector
from vostrack.proposers.detection_crf.foreground import grabcut_foregrounds
from vostrack.proposers.detection_crf.instances import identify_instances
from vostrack.proposers.detection_crf.network import (
    DetectionCrf,
    DetectionCrfConfig,
    DetectionCrfOutput,
)
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
