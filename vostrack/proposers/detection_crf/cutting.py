"""Instance masks and scores from the output of the two CRFs."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vostrack.arrays import BoolArray, FloatArray, IntArray
from vostrack.proposers.detection_crf.network import DetectionCrfOutput
from vostrack.proposers.detections import Detections
from vostrack.protocols import InstanceProposals

__all__ = ["cut_instances", "mean_probabilities", "winning_labels"]


def winning_labels(logits: Tensor, height: int, width: int) -> IntArray:
    """Enlarge the logits one label at a time, to bound the memory, and take the best.

    Args:
        logits: (D + 1, h, w).
        height: H of the frame.
        width: W of the frame.

    Returns:
        (H, W), 0 for background, 1..D the instances.
    """
    if logits.shape[1:] == (height, width):
        return logits.argmax(0).cpu().numpy()
    best = torch.full((height, width), -torch.inf, device=logits.device)
    winners = torch.zeros((height, width), dtype=torch.int64, device=logits.device)
    for label, layer in enumerate(logits):
        full = functional.interpolate(
            layer[None, None], (height, width), mode="bilinear", align_corners=False
        )[0, 0]
        better = full > best
        best = torch.where(better, full, best)
        winners[better] = label
    return winners.cpu().numpy()


def mean_probabilities(output: DetectionCrfOutput, labels: IntArray) -> Tensor:
    """Return how probable the instances' classes are over their masks.

    Args:
        output: of the network.
        labels: (D,) the class of each instance as the network numbers them.

    Returns:
        (D,) means in [0, 1]; 0 for an empty mask.
    """
    winners = output.instance_logits.argmax(0)
    probabilities = torch.softmax(output.class_logits, 0)
    means = [
        probabilities[int(label)][winners == index + 1].mean().nan_to_num(0.0)
        for index, label in enumerate(labels)
    ]
    return torch.stack(means) if means else probabilities.new_zeros(0)


def cut_instances(
    winners: IntArray, detections: Detections, scores: FloatArray, min_pixels: int
) -> InstanceProposals:
    """Cut the instance map into masks, best first.

    Args:
        winners: (H, W) from ``winning_labels``.
        detections: D, what the instances were made of.
        scores: (D,) in [0, 1].
        min_pixels: smaller instances are left out.
    """
    sizes = np.bincount(winners.ravel(), minlength=len(detections) + 1)[1:]
    order = np.argsort(-scores, kind="stable")
    order = order[sizes[order] >= min_pixels]
    masks = winners[None] == (order + 1)[:, None, None]
    boxes = np.array([_mask_box(mask) for mask in masks], dtype=np.float32).reshape(-1, 4)
    return InstanceProposals(
        masks=masks, scores=scores[order], labels=detections.labels[order], boxes=boxes
    )


def _mask_box(mask: BoolArray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
