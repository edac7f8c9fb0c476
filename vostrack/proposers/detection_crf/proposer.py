"""Instance proposals of a frame from class scores, detections and two CRFs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor

from vostrack.arrays import AnyArray, FloatArray, IntArray, UInt8Array
from vostrack.errors import InputError
from vostrack.proposers.components import ForegroundComponents
from vostrack.proposers.detection_crf.cutting import (
    cut_instances,
    mean_probabilities,
    winning_labels,
)
from vostrack.proposers.detection_crf.detectors import PreviousObjects
from vostrack.proposers.detection_crf.foreground import grabcut_foregrounds
from vostrack.proposers.detection_crf.instances import box_masks
from vostrack.proposers.detection_crf.network import (
    DetectionCrf,
    DetectionCrfConfig,
    DetectionCrfOutput,
)
from vostrack.proposers.detection_crf.options import DetectionCrfOptions
from vostrack.proposers.detections import (
    Detections,
    Detector,
    clip_detections,
    select_detections,
)
from vostrack.protocols import InstanceProposals
from vostrack.video.arrays import as_rgb

__all__ = ["DetectionCrfProposer", "ProposerConfig", "SemanticScorer"]

SemanticScorer = Callable[[Tensor], Tensor]
"""Class logits (1, L, H, W) of an image (1, 3, H, W) in [0, 1]; a torch module fits."""


@dataclass(frozen=True)
class ProposerConfig:
    """Settings of ``DetectionCrfProposer``.

    Attributes:
        crf: the two CRFs.
        min_score: lowest detector score used, in [0, 1].
        max_overlap: intersection over union above which two boxes of a class are one object.
        max_detections: most boxes used, the most confident first.
        foreground: where F_d comes from: GrabCut inside the box, or the whole box.
        score: an instance's score: its detection's validity Pr(Y = 1) ("validity"), or that times
            the mean probability of its class over its mask ("validity_and_mask").
        min_pixels: smaller instances are left out.
        max_side: longer images are worked on at this length of their longer side, in pixels.
    """

    crf: DetectionCrfConfig = field(default_factory=DetectionCrfConfig)
    min_score: float = DetectionCrfOptions.min_score
    max_overlap: float = DetectionCrfOptions.max_overlap
    max_detections: int = DetectionCrfOptions.max_detections
    foreground: Literal["grabcut", "box"] = DetectionCrfOptions.foreground
    score: Literal["validity", "validity_and_mask"] = DetectionCrfOptions.score
    min_pixels: int = 10
    max_side: int = DetectionCrfOptions.max_side

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: a value is out of its range.
        """
        for name in ("min_score", "max_overlap"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}: expected in [0, 1], got {getattr(self, name)}")
        for name in ("max_detections", "min_pixels", "max_side"):
            if not getattr(self, name) >= 1:
                raise InputError(f"{name}: expected >= 1, got {getattr(self, name)}")


class DetectionCrfProposer:
    """Bottom-up instance segmentation (Arnab and Torr 2016); an ``InstanceProposer``.

    With a semantic scorer it is class-aware: the detections' labels are the scorer's classes.
    Without one it is class-agnostic: the classes are background and foreground, from the caller's
    foreground probability, and every detection counts as foreground.

    In a tracker it is also an ``ObjectFollower``: without a detector and a semantic scorer, the
    boxes of the objects in the previous frame are the detections of the next one.

    Args:
        detector: finds boxes in a frame; with None, ``propose`` takes the boxes of the objects that
            it follows and of the connected components of the foreground (class-agnostic only).
        semantic: class scores of an image, background first; None for class-agnostic proposals.
        config: settings.
        classes: L of the semantic scorer.
        table: the boxes of each image by its name, for ``propose_image``.
        device: where the CRFs run; a semantic scorer must be there already.
    """

    def __init__(
        self,
        detector: Detector | None = None,
        semantic: SemanticScorer | None = None,
        config: ProposerConfig | None = None,
        classes: int = 21,
        table: Mapping[str, Detections] | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        self.detector = detector
        self.semantic = semantic
        self.table = table
        self.config = ProposerConfig() if config is None else config
        self.device = torch.device(device)
        self._previous = PreviousObjects()
        network = DetectionCrf(2 if semantic is None else classes, self.config.crf)
        self.network = network.eval().to(self.device)

    def follow(self, labels: UInt8Array) -> None:
        """Take the objects of the previous frame.

        Args:
            labels: (H, W) uint8; 0 background, 255 void, all others objects.
        """
        self._previous.commit(labels)

    def propose(self, frame: UInt8Array, foreground: FloatArray | None) -> InstanceProposals:
        """Detect boxes, then segment an instance for each.

        Args:
            frame: (H, W, 3) uint8 RGB.
            foreground: (H, W) in [0, 1], required without a semantic scorer, otherwise unused.

        Returns:
            At most one proposal per box; masks do not overlap.

        Raises:
            InputError: there is no source of boxes, or as ``propose_detections``.
        """
        if self.detector is not None:
            detections = self.detector(frame)
        elif self.semantic is None and foreground is not None:
            detections = self._own_boxes(frame, foreground)
        else:
            raise InputError(
                "detection-crf: expected a semantic network, given by `semantic`, or a tracker's "
                "foreground model; got neither"
            )
        return self.propose_detections(frame, detections, foreground)

    def propose_image(self, name: str, frame: UInt8Array) -> InstanceProposals:
        """Segment the table's boxes of a named image; without a table, detect them.

        Args:
            name: the image's key in the table.
            frame: (H, W, 3) uint8 RGB.

        Raises:
            InputError: there is no entry of that name, or as ``propose``.
        """
        if self.table is None:
            return self.propose(frame, None)
        if name not in self.table:
            raise InputError(
                f"detections: no entry for {name}; give every image an entry, an empty list "
                "where it has no box"
            )
        return self.propose_detections(frame, self.table[name])

    @torch.inference_mode()
    def propose_detections(
        self, frame: UInt8Array, detections: Detections, foreground: FloatArray | None = None
    ) -> InstanceProposals:
        """Segment an instance for each of the given boxes.

        Args:
            frame: (H, W, 3) uint8 RGB.
            detections: boxes in pixels of the frame; they may reach beyond it.
            foreground: as in ``propose``.

        Raises:
            InputError: the frame or the foreground has the wrong shape, the foreground is missing
                or not finite, or a label is no class of the semantic scorer.
        """
        frame = as_rgb(frame, "frame")
        output, boxes = self.analyse(frame, detections, foreground)
        return self.cut(output, boxes, frame.shape[:2])

    @torch.inference_mode()
    def cut(
        self, output: DetectionCrfOutput, detections: Detections, size: tuple[int, int]
    ) -> InstanceProposals:
        """Cut masks out of what ``analyse`` returned.

        Args:
            output: of the network.
            detections: the detections that were used.
            size: H and W of the frame.
        """
        winners = winning_labels(output.instance_logits, *size)
        scores = self._scores(output, detections)
        return cut_instances(winners, detections, scores, self.config.min_pixels)

    @torch.inference_mode()
    def analyse(
        self, frame: UInt8Array, detections: Detections, foreground: FloatArray | None = None
    ) -> tuple[DetectionCrfOutput, Detections]:
        """Run the network and return what it computed, before any mask is cut.

        Args:
            frame: (H, W, 3) uint8 RGB.
            detections: as in ``propose_detections``.
            foreground: as in ``propose``.

        Returns:
            The network's output, at the working resolution, and the detections that were used, in
            its order, in pixels of the frame.

        Raises:
            InputError: as ``propose_detections``.
        """
        config = self.config
        boxes = select_detections(
            clip_detections(detections, *frame.shape[:2]),
            config.min_score,
            config.max_overlap,
            config.max_detections,
        )
        scale = min(1.0, config.max_side / max(frame.shape[:2]))
        work = _resize(frame, scale)
        scaled = replace(
            boxes, boxes=boxes.boxes * np.float32(scale), labels=self._network_labels(boxes)
        )
        image = torch.from_numpy(work).to(self.device).permute(2, 0, 1).float() / 255
        logits = self._class_logits(image, foreground, scale)
        return self._infer(work, image, logits, scaled), boxes

    def _own_boxes(self, frame: UInt8Array, foreground: FloatArray) -> Detections:
        """Return the objects of the previous frame, then the components, with no higher scores."""
        known, found = self._previous(frame), _component_boxes(frame, foreground)
        if len(known):
            found = replace(found, scores=found.scores.clip(max=self._previous.score))
        return known + found

    def _network_labels(self, detections: Detections) -> IntArray:
        """Return the network's class ids: without a semantic scorer, all are foreground."""
        return np.ones_like(detections.labels) if self.semantic is None else detections.labels

    def _class_logits(self, image: Tensor, foreground: FloatArray | None, scale: float) -> Tensor:
        if self.semantic is not None:
            return self.semantic(image[None])[0]
        if foreground is None or not np.isfinite(foreground).all():
            raise InputError(
                "the proposer detection-crf without a semantic network needs a finite foreground "
                "probability; give a semantic network with `semantic`, or use it in a tracker "
                "with a foreground model"
            )
        probability = torch.from_numpy(_resize(foreground.astype(np.float32), scale))
        logit = torch.logit(probability.to(self.device), eps=1e-4)
        return torch.stack([-logit / 2, logit / 2])

    def _infer(
        self, frame: UInt8Array, image: Tensor, logits: Tensor, detections: Detections
    ) -> DetectionCrfOutput:
        use_grabcut = self.config.foreground == "grabcut" and self.config.crf.potentials is not None
        masks = (
            grabcut_foregrounds(frame, detections.boxes)
            if use_grabcut
            else box_masks(detections.boxes, *frame.shape[:2])
        )
        foregrounds = torch.from_numpy(masks).to(self.device)
        result: DetectionCrfOutput = self.network(image, logits, detections, foregrounds)
        return result

    def _scores(self, output: DetectionCrfOutput, detections: Detections) -> FloatArray:
        scores = output.validity
        if self.config.score == "validity_and_mask":
            scores = scores * mean_probabilities(output, self._network_labels(detections))
        return scores.cpu().numpy().astype(np.float32)


def _component_boxes(frame: UInt8Array, foreground: FloatArray) -> Detections:
    found = ForegroundComponents().propose(frame, foreground)
    return Detections(found.boxes, found.scores, found.labels)


def _resize(array: AnyArray, scale: float) -> AnyArray:
    """Scale an image or a map (H, W[, C]); unchanged at 1."""
    if scale == 1:
        return array
    size = [max(1, round(n * scale)) for n in array.shape[1::-1]]
    return np.asarray(cv2.resize(array, size, interpolation=cv2.INTER_AREA))
