"""The options of the proposer ``detection-crf``. This module loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from vostrack.proposers.settings import Setting, SettingValues

__all__ = ["DetectionCrfOptions"]


@dataclass(frozen=True)
class DetectionCrfOptions:
    """Options of the proposer detection-crf."""

    SETTINGS: ClassVar[SettingValues] = {
        "default": {},
        "paper": {"min_score": 0.5, "neutral_score": 0.5},
        "fast": {"foreground": "box", "iterations": 2, "instance_iterations": 1, "max_side": 500},
    }

    detector: str = "fasterrcnn_resnet50_fpn_v2"
    """Torchvision detector that finds boxes where no file of detections gives them. It needs a
    semantic network; its COCO weights are downloaded once."""

    min_score: float = 0.1
    """Lowest detector score used, 0 to 1."""

    max_overlap: float = 0.3
    """Of two boxes of a class with a higher intersection over union, one is dropped, 0 to 1."""

    max_detections: int = 50
    """Most boxes used, the most confident first."""

    foreground: Literal["grabcut", "box"] = "grabcut"
    """The pixels of a detection: grabcut inside its box, or the whole box."""

    neutral_score: float = 0.3
    """Detector score at which a detection is as likely right as wrong, 0 to 1."""

    potentials: bool = True
    """Let detections change the class probabilities. Off: the paper's first baseline."""

    recalibrate: bool = True
    """Let the CRF rescore the detections. Off: the paper's second baseline."""

    score: Literal["validity", "validity_and_mask"] = "validity_and_mask"
    """Score of an instance: the validity of its detection, or that times the mean probability of
    its class over its mask."""

    iterations: int = 5
    """Mean-field steps of the class CRF, 0 or more."""

    instance_iterations: int = 3
    """Mean-field steps of the instance CRF, 0 or more."""

    max_side: int = 1000
    """Longer images are scaled down to this length of their longer side, pixels."""

    weights: Path | None = None
    """crf.safetensors of vostrack train detection-crf. Use it with the semantic network that it was
    trained with."""

    setting: Setting = "default"
    """A set of values for the other options; those that you give replace it. default: what works
    best here. paper: what the paper states. fast: less time, and worse instances."""
