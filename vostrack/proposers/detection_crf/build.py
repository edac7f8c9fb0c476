"""From the options of the command line to a wired proposer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vostrack.errors import InputError
from vostrack.models.weights_file import read_state_dict
from vostrack.proposers.detection_crf.detectors import TorchvisionDetector
from vostrack.proposers.detection_crf.network import DetectionCrf, DetectionCrfConfig
from vostrack.proposers.detection_crf.potentials import DetectionPotentialConfig
from vostrack.proposers.detection_crf.proposer import DetectionCrfProposer, ProposerConfig
from vostrack.proposers.sources import ProposerSources

__all__ = ["DetectionCrfOptions", "build_detection_crf"]

_DEFAULT = ProposerConfig()


@dataclass(frozen=True)
class DetectionCrfOptions:
    """Settings of detection-crf that the command line offers.

    Attributes:
        detector: torchvision detector that finds boxes where --detections gives none; its COCO
            weights are downloaded once.
        min_score: lowest detector score used, in [0, 1].
        max_overlap: of two boxes of a class with a higher intersection over union, one goes.
        max_detections: most boxes used, the most confident first.
        foreground: the pixels of a detection: grabcut inside its box, or the whole box.
        neutral_score: the detector's score at which a detection is as likely right as wrong.
        potentials: whether detections pull at the classes; off is the paper's first baseline.
        recalibrate: whether the CRF rescores the detections; off is its second baseline.
        score: an instance's score: its detection's validity, or that times the mean probability
            of its class over its mask.
        iterations: mean-field steps of the class CRF.
        instance_iterations: mean-field steps of the instance CRF.
        max_side: longer images are worked on at this length of their longer side, pixels.
        weights: crf.safetensors as vostrack train detection-crf writes it, to be used with the
            semantic network trained with it.
    """

    detector: str = "fasterrcnn_resnet50_fpn_v2"
    min_score: float = _DEFAULT.min_score
    max_overlap: float = _DEFAULT.max_overlap
    max_detections: int = _DEFAULT.max_detections
    foreground: Literal["grabcut", "box"] = _DEFAULT.foreground
    neutral_score: float = DetectionPotentialConfig().neutral_score
    potentials: bool = True
    recalibrate: bool = True
    score: Literal["validity", "validity_and_mask"] = _DEFAULT.score
    iterations: int = _DEFAULT.crf.iterations
    instance_iterations: int = _DEFAULT.crf.instance_iterations
    max_side: int = _DEFAULT.max_side
    weights: Path | None = None


def build_detection_crf(
    options: DetectionCrfOptions, sources: ProposerSources
) -> DetectionCrfProposer:
    """Wire the proposer.

    Without a semantic network it is class-agnostic and needs a foreground; boxes come from the
    sources, else from the detector (with classes) or the foreground (without).

    Raises:
        InputError: an option is out of its range, the detector's weights cannot be had, or boxes
            were given without a semantic network.
    """
    if sources.detections is not None and sources.semantic is None:
        raise InputError(
            "detection-crf: boxes alone do not tell which pixels are an object's; give a semantic "
            "network with --semantic NAME"
        )
    config = ProposerConfig(
        crf=DetectionCrfConfig(
            iterations=options.iterations,
            instance_iterations=options.instance_iterations,
            potentials=(
                DetectionPotentialConfig(neutral_score=options.neutral_score)
                if options.potentials
                else None
            ),
            recalibrate=options.recalibrate,
        ),
        min_score=options.min_score,
        max_overlap=options.max_overlap,
        max_detections=options.max_detections,
        foreground=options.foreground,
        score=options.score,
        max_side=options.max_side,
    )
    detector = None
    if sources.semantic is not None and sources.detections is None:
        detector = TorchvisionDetector.pretrained(options.detector, sources.device)
    proposer = DetectionCrfProposer(
        detector, sources.semantic, config, table=sources.detections, device=sources.device
    )
    if options.weights is not None:
        _load(proposer.network, options.weights)
    return proposer


def _load(network: DetectionCrf, path: Path) -> None:
    state = read_state_dict(path)
    if network.potentials is None:
        state = {k: v for k, v in state.items() if not k.startswith("potentials.")}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(
            f"detection-crf: {path} does not fit ({reason}); expected crf.safetensors of vostrack "
            "train detection-crf, and a semantic network of its classes"
        ) from None
