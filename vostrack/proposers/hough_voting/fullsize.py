"""From clusters of cells to masks of pixels."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

from vostrack.arrays import BoolArray, FloatArray, IntArray
from vostrack.proposers.hough_voting.votes import ClassVotes, VotingConfig
from vostrack.proposers.hough_voting.voting import top_masks
from vostrack.protocols import InstanceProposals

__all__ = ["instance_proposals"]


# A pixel whose own cell did not vote may belong to a cluster at most this many cells away.
_REACH = 2.0


def instance_proposals(
    instances: Sequence[tuple[ClassVotes, int]],
    probabilities: FloatArray,
    shape: tuple[int, int],
    stride: int,
    config: VotingConfig,
    *,
    with_labels: bool,
) -> InstanceProposals:
    """Give each instance the pixels of its class's mask that are nearest to its cells.

    Args:
        instances: votes and cluster of each, best first.
        probabilities: (L, H, W) of the pixels, background first.
        shape: (h, w) of the grid of cells.
        stride: pixels per cell.
        config: says which pixels are in a class's masks.
        with_labels: False gives all the label 0.
    """
    height, width = probabilities.shape[1:]
    groups: dict[int, IntArray] = {}
    masks, scores, labels = [], [], []
    for votes, cluster in instances:
        if id(votes) not in groups:
            ranked = top_masks(probabilities, votes.label, votes.rank, config.floor)
            owners = _owners(votes, shape, stride, (height, width))
            groups[id(votes)] = np.where(ranked[-1], owners, -1)
        mask = groups[id(votes)] == cluster
        if mask.any():
            masks.append(mask)
            scores.append(float(votes.confidences[cluster]))
            labels.append(votes.label if with_labels else 0)
    stacked = np.stack(masks) if masks else np.zeros((0, height, width), np.bool_)
    return InstanceProposals(
        masks=stacked,
        scores=np.array(scores, np.float32).clip(0, 1),
        labels=np.array(labels, np.int64),
        boxes=np.array([_box(mask) for mask in masks], np.float32).reshape(-1, 4),
    )


def _owners(
    votes: ClassVotes, shape: tuple[int, int], stride: int, size: tuple[int, int]
) -> IntArray:
    """Return for each pixel of (H, W) the cluster that it belongs to, -1 for none."""
    owners = np.full(shape, -1, dtype=np.int64)
    owners[votes.rows, votes.columns] = votes.owners
    distance, nearest = distance_transform_edt(owners < 0, return_indices=True)
    filled = np.where(distance <= _REACH, owners[tuple(nearest)], -1)
    best = np.zeros(size, dtype=np.float32)
    result = np.full(size, -1, dtype=np.int64)
    for cluster in np.unique(filled[filled >= 0]):
        # Bilinear shares, so that the border between two instances is no staircase of cells.
        share = (filled == cluster).astype(np.float32)
        share = cv2.resize(
            share, (shape[1] * stride, shape[0] * stride), interpolation=cv2.INTER_LINEAR
        )[: size[0], : size[1]]
        better = share > best
        best[better], result[better] = share[better], cluster
    return result


def _box(mask: BoolArray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
