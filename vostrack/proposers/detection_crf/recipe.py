"""End-to-end training: semantic network, class CRF and instance CRF (Arnab and Torr 2016)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Generator, Tensor, nn
from torch.nn import functional

from vostrack.arrays import BoolArray, IntArray, UInt8Array
from vostrack.checks import check_at_least, check_finite, check_fraction
from vostrack.datasets.annotated_frames import image_tensor
from vostrack.datasets.voc import VocImage, VocSample
from vostrack.errors import InputError
from vostrack.masks.palette import VOID
from vostrack.proposers.detection_crf.foreground import grabcut_foregrounds
from vostrack.proposers.detection_crf.instances import box_masks
from vostrack.proposers.detection_crf.network import DetectionCrf
from vostrack.proposers.detections import (
    Detections,
    box_overlaps,
    clip_detections,
    select_detections,
)
from vostrack.wording import counted

__all__ = ["DetectionCrfRecipe", "DetectionCrfTraining", "JointNetwork", "instance_target"]


@dataclass(frozen=True)
class DetectionCrfRecipe:
    """How the networks are trained, apart from the loop.

    Attributes:
        batch: images per step and process; each has its own size and its own number of labels.
        max_side: longer images are scaled to this length of their longer side, in pixels.
        learning_rate: of the semantic network and of the two CRFs' kernels, at the peak.
        potential_learning_rate: of the detection potentials' weights, at the peak.
        class_weight: factor of the class loss.
        instance_weight: factor of the instance loss.
        min_score: lowest detector score used, in [0, 1].
        max_overlap: of two boxes of a class with a higher intersection over union, one is dropped.
        max_detections: highest number of boxes used, below 255.
        jitter: standard deviation of the sides of drawn boxes, as a share of the object's sides.
            Boxes are drawn around the true objects where no detector's boxes are given.
        foreground: as in ``ProposerConfig``.
    """

    batch: int = 1
    max_side: int = 500
    learning_rate: float = 1e-5
    potential_learning_rate: float = 1e-2
    class_weight: float = 1.0
    instance_weight: float = 1.0
    min_score: float = 0.3
    max_overlap: float = 0.5
    max_detections: int = 20
    jitter: float = 0.08
    foreground: Literal["grabcut", "box"] = "grabcut"

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: a value is out of its range.
        """
        check_at_least(self, {"batch": 1, "max_detections": 1, "max_side": 32})
        if self.max_detections >= VOID:
            raise InputError(f"max_detections: expected below {VOID}, got {self.max_detections}")
        factors = (
            "learning_rate",
            "potential_learning_rate",
            "class_weight",
            "instance_weight",
            "jitter",
        )
        check_at_least(self, dict.fromkeys(factors, 0))
        check_finite(self, *factors)
        check_fraction(self, "min_score", "max_overlap")


class JointNetwork(nn.Module):
    """Semantic network and CRFs as one network, with one checkpoint and one gradient.

    Args:
        semantic: images (B, 3, H, W) in [0, 1] to logits (B, L, H, W).
        crf: the two CRFs.
    """

    def __init__(self, semantic: nn.Module, crf: DetectionCrf) -> None:
        super().__init__()
        self.semantic = semantic
        self.crf = crf

    def train(self, mode: bool = True) -> JointNetwork:
        """Switch to training, but keep batch statistics: batches are of one image."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self


class DetectionCrfTraining:
    """Draws images with boxes, and computes the losses of both CRFs.

    ``vostrack.training.loop.train`` follows it.

    The loss is the cross-entropy of the classes after the class CRF plus that of the instances
    after the instance CRF. The truth of the latter follows from the boxes: each true instance
    belongs to the detection of its class that it overlaps most, one to one.

    Args:
        network: what is trained.
        images: of the training set.
        table: the detector's boxes by image name; None draws boxes around the true objects.
        recipe: how the networks are trained.

    Raises:
        InputError: the table lacks an image.
    """

    def __init__(
        self,
        network: JointNetwork,
        images: Sequence[VocImage],
        table: Mapping[str, Detections] | None = None,
        recipe: DetectionCrfRecipe | None = None,
    ) -> None:
        self.network = network
        self.images = images
        self.table = table
        self.recipe = recipe or DetectionCrfRecipe()
        if table is not None:
            lacking = [image.name for image in images if image.name not in table]
            if lacking:
                raise InputError(
                    f"detections: no entry for {counted(len(lacking), 'training image')}, the "
                    f"first {lacking[0]}; give every image an entry, an empty list where it "
                    "has no box"
                )

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the potentials' weights and all others, each with its rate."""
        potentials = self.network.crf.potentials
        special = [] if potentials is None else list(potentials.parameters())
        known = {id(p) for p in special}
        others = [p for p in self.network.parameters() if id(p) not in known and p.requires_grad]
        groups = [{"params": others, "lr": self.recipe.learning_rate}]
        if special:
            groups.append(
                {"params": special, "lr": self.recipe.potential_learning_rate, "weight_decay": 0.0}
            )
        return groups

    def draw(self, generator: Generator, step: int) -> list[dict[str, Any]]:
        """Draw images, each with its boxes, foregrounds and truth, as CPU tensors."""
        chosen = torch.randint(len(self.images), (self.recipe.batch,), generator=generator)
        return [self._example(self.images[int(index)], generator) for index in chosen]

    def losses(self, batch: list[dict[str, Any]]) -> dict[str, Tensor]:
        """Return ``classes`` and ``instances``, means over the batch's images."""
        pairs = [self._example_losses(example) for example in batch]
        classes, instances = (torch.stack(values).mean() for values in zip(*pairs, strict=True))
        return {
            "classes": self.recipe.class_weight * classes,
            "instances": self.recipe.instance_weight * instances,
        }

    def _example(self, image: VocImage, generator: Generator) -> dict[str, Any]:
        sample = image.read()
        recipe = self.recipe
        found = None if self.table is None else self.table[image.name]
        scale = min(1.0, recipe.max_side / max(sample.frame.shape[:2]))
        sample = _scaled(sample, scale)
        height, width = sample.frame.shape[:2]
        if found is None:
            boxes = _drawn_boxes(sample, recipe.jitter, generator)
        else:
            boxes = Detections(found.boxes * np.float32(scale), found.scores, found.labels)
        boxes = select_detections(
            clip_detections(boxes, height, width),
            recipe.min_score,
            recipe.max_overlap,
            recipe.max_detections,
        )
        masks = (
            grabcut_foregrounds(sample.frame, boxes.boxes)
            if recipe.foreground == "grabcut"
            else box_masks(boxes.boxes, height, width)
        )
        return {
            "image": image_tensor(sample.frame).float() / 255,
            "classes": torch.from_numpy(sample.classes.astype(np.int64)),
            "instances": torch.from_numpy(instance_target(sample, boxes)),
            "boxes": torch.from_numpy(boxes.boxes),
            "scores": torch.from_numpy(boxes.scores),
            "labels": torch.from_numpy(boxes.labels),
            "foregrounds": torch.from_numpy(masks),
        }

    def _example_losses(self, example: dict[str, Any]) -> tuple[Tensor, Tensor]:
        boxes = Detections.from_lists(
            *(example[key].cpu().numpy() for key in ("boxes", "scores", "labels"))
        )
        logits = self.network.semantic(example["image"][None])[0]
        output = self.network.crf(example["image"], logits, boxes, example["foregrounds"])
        # Without boxes the potentials get no gradient, which DistributedDataParallel rejects.
        weights = list(self.network.crf.parameters())
        unused = torch.stack([0.0 * weight.sum() for weight in weights]).sum()
        return (
            _cross_entropy(output.class_logits, example["classes"]) + unused,
            _cross_entropy(output.instance_logits, example["instances"]),
        )


def instance_target(sample: VocSample, detections: Detections) -> IntArray:
    """Number the true instances by the detections that they belong to.

    Args:
        sample: the truth.
        detections: D boxes in pixels of the image.

    Returns:
        (H, W) int64: 0 background, k + 1 the pixels of the instance of detection k, 255 void,
        the instances that no detection of their class overlaps, and what lies outside the box.
    """
    labels = sample.labels()
    boxes = np.array(
        [_mask_box(sample.instances == k + 1) for k in range(len(labels))], dtype=np.float32
    ).reshape(-1, 4)
    gain = np.zeros((len(labels), len(detections)))
    for row, (box, label) in enumerate(zip(boxes, labels, strict=True)):
        same = detections.labels == label
        gain[row] = np.where(same, box_overlaps(box, detections.boxes), 0)
    target = np.where(sample.instances == 0, 0, VOID).astype(np.int64)
    covered = box_masks(detections.boxes, *sample.instances.shape)
    for row, column in zip(*linear_sum_assignment(-gain), strict=True):
        if gain[row, column] > 0:
            target[(sample.instances == row + 1) & covered[column]] = column + 1
    return target


def _mask_box(mask: BoolArray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _drawn_boxes(sample: VocSample, jitter: float, generator: Generator) -> Detections:
    """Draw boxes near the true ones, with scores as a detector might give them."""
    labels = sample.labels()
    kept = [k for k, label in enumerate(labels) if label > 0]
    boxes = torch.tensor([_mask_box(sample.instances == k + 1) for k in kept]).reshape(-1, 4)
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    noise = torch.randn(boxes.shape, generator=generator) * jitter
    moved = boxes + noise * sides
    scores = 0.5 + 0.5 * torch.rand(len(kept), generator=generator)
    sound = (moved[:, 2:] > moved[:, :2]).all(1)
    return Detections.from_lists(
        moved[sound].numpy(), scores[sound].numpy(), labels[kept][sound.numpy()]
    )


def _scaled(sample: VocSample, scale: float) -> VocSample:
    if scale == 1:
        return sample
    height, width = sample.frame.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))

    def resized(array: UInt8Array, interpolation: int) -> UInt8Array:
        return np.asarray(cv2.resize(array, size, interpolation=interpolation), dtype=np.uint8)

    return VocSample(
        resized(sample.frame, cv2.INTER_AREA),
        resized(sample.classes, cv2.INTER_NEAREST),
        resized(sample.instances, cv2.INTER_NEAREST),
    )


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Return the mean over the labelled pixels; zero, with a gradient, where there are none."""
    total = functional.cross_entropy(
        logits[None].float(), target[None], ignore_index=VOID, reduction="sum"
    )
    return total / (target != VOID).sum().clamp(min=1)
