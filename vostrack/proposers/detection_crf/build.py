"""From the options of the command line to a wired proposer."""

from __future__ import annotations

from pathlib import Path

from vostrack.errors import InputError
from vostrack.models.weights_file import read_state_dict
from vostrack.proposers.detection_crf.detectors import TorchvisionDetector
from vostrack.proposers.detection_crf.network import DetectionCrf, DetectionCrfConfig
from vostrack.proposers.detection_crf.options import DetectionCrfOptions
from vostrack.proposers.detection_crf.potentials import DetectionPotentialConfig
from vostrack.proposers.detection_crf.proposer import DetectionCrfProposer, ProposerConfig
from vostrack.proposers.sources import ProposerSources

__all__ = ["build_detection_crf"]


def build_detection_crf(
    options: DetectionCrfOptions, sources: ProposerSources
) -> DetectionCrfProposer:
    """Wire the proposer.

    Without a semantic network it is class-agnostic and needs a foreground; boxes come from the
    sources, else from the detector (with classes) or the foreground (without).

    Raises:
        InputError: an option is out of its range, the detector's weights cannot be had, boxes were
            given without a semantic network, or class masks were given, which it does not use.
    """
    if sources.semantic_masks is not None:
        raise InputError(
            "detection-crf: needs the scores of all classes, which class masks do not hold; give a "
            "network with `semantic`, and leave `semantic_masks` out"
        )
    if sources.detections is not None and sources.semantic is None:
        raise InputError(
            "detection-crf: boxes alone do not tell which pixels are an object's; give a semantic "
            "network with `semantic`"
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
