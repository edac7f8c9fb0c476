"""Region similarity J and contour accuracy F of one frame.

Perazzi et al. 2016, "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation",
section 5, with the conventions of the DAVIS 2017 evaluation code. Objects are compared exactly, as
sets of pixels; nothing is resized or approximated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vostrack.errors import InputError
from vostrack.eval.bitmaps import Bits, Window, count, dilate, outline, pack_labels, window
from vostrack.eval.label_maps import as_label_map, check_same_size
from vostrack.masks.palette import VOID

__all__ = [
    "FrameScores",
    "boundary_f",
    "contour_tolerance",
    "frame_scores",
    "matched_scores",
    "pair_scores",
    "region_j",
]

FloatArray = NDArray[np.float64]
CountArray = NDArray[np.int64]
LabelMap = NDArray[np.uint8]


@dataclass(frozen=True)
class FrameScores:
    """J and F of one frame.

    Attributes:
        j: region similarity in [0, 1]; (N,) per object, or (P, N) for all pairs.
        f: contour accuracy in [0, 1]; the same shape.
    """

    j: FloatArray
    f: FloatArray


def contour_tolerance(height: int, width: int) -> int:
    """Return how many pixels apart contours still match: 0.8 % of the diagonal, rounded up."""
    return math.ceil(0.008 * float(np.linalg.norm((height, width))))


def region_j(intersection: CountArray, union: CountArray) -> FloatArray:
    """Return the Jaccard index from pixel counts; 1 where both masks are empty."""
    score: FloatArray = (intersection + (union == 0)) / np.maximum(union, 1)
    return score


def boundary_f(
    matched_prediction: CountArray,
    prediction: CountArray,
    matched_truth: CountArray,
    truth: CountArray,
) -> FloatArray:
    """Return the F-measure of contours from pixel counts.

    An empty contour has precision (or recall) 1 of nothing, so F is 1 where both are empty and 0
    where only one is.

    Args:
        matched_prediction: predicted contour pixels within the tolerance of the true contour.
        prediction: all predicted contour pixels.
        matched_truth: true contour pixels within the tolerance of the predicted contour.
        truth: all true contour pixels.
    """
    precision = (matched_prediction + (prediction == 0)) / np.maximum(prediction, 1)
    recall = (matched_truth + (truth == 0)) / np.maximum(truth, 1)
    total = precision + recall
    score: FloatArray = 2 * precision * recall / np.where(total == 0, 1.0, total)
    return score


def frame_scores(
    prediction: NDArray[Any], truth: NDArray[Any], objects: int, *, name: str = "frame"
) -> FrameScores:
    """Score each object of one frame against the truth of the same id.

    An object that is absent from both scores 1, from one of them 0. Void (255) in the truth counts
    as background, as in the semi-supervised DAVIS evaluation. True ids above ``objects`` count as
    background too: they are objects that were not there in the first frame.

    Args:
        prediction: (H, W) ids, 0 background, 1..N the objects.
        truth: (H, W) ids, likewise; 255 void.
        objects: N, at least 1.
        name: names the frame in an error.

    Returns:
        (N,) scores.

    Raises:
        InputError: not label maps, of different sizes, or a predicted id above ``objects``.
    """
    if objects < 1:
        raise InputError(f"objects: expected at least 1, got {objects}")
    prediction = as_label_map(prediction, f"{name} (prediction)")
    truth = as_label_map(truth, f"{name} (truth)")
    check_same_size(prediction, truth, name)
    if (highest := int(prediction.max())) > objects:
        raise InputError(
            f"{name}: the prediction has id {highest}, but there are only {objects} objects; "
            "number them as in the first frame's annotation"
        )
    return matched_scores(prediction, only_ids(truth, objects), objects)


def only_ids(truth: LabelMap, objects: int) -> LabelMap:
    """Clear the ids above ``objects``, void among them."""
    if int(truth.max()) <= objects:
        return truth
    return np.where(truth > objects, np.uint8(0), truth)


def matched_scores(prediction: LabelMap, truth: LabelMap, objects: int) -> FrameScores:
    """Score each object against the truth of the same id, on maps that were checked before.

    Args:
        prediction: (H, W) uint8, ids 0..N. With one object any id above 0 is that object.
        truth: likewise.
        objects: N, at least 1.

    Returns:
        (N,) scores.
    """
    radius = contour_tolerance(*truth.shape)
    counts = np.empty((6, objects), dtype=np.int64)
    for number, masks in pack_labels((prediction, truth), objects):
        part = window(masks, truth.shape[1], radius)
        counts[:, number - 1] = _matched_counts(part, radius)
    return FrameScores(region_j(counts[0], counts[1]), boundary_f(*counts[2:]))


def _matched_counts(part: Window, radius: int) -> CountArray:
    """Count one object: intersection, union, and the four arguments of ``boundary_f``."""
    lines = outline(part)
    near = dilate(lines, radius)
    sets = np.empty((6, *lines.shape[1:]), dtype=np.uint64)
    np.bitwise_and(part.masks[0], part.masks[1], out=sets[0])
    np.bitwise_or(part.masks[0], part.masks[1], out=sets[1])
    np.bitwise_and(lines[0], near[1], out=sets[2])
    sets[3] = lines[0]
    np.bitwise_and(lines[1], near[0], out=sets[4])
    sets[5] = lines[1]
    return count(sets)


def pair_scores(
    prediction: NDArray[Any],
    truth: NDArray[Any],
    proposals: int,
    objects: int,
    *,
    name: str = "frame",
) -> FrameScores:
    """Score every proposal of one frame against every object.

    Void (255) in the truth is left out of both, as in the unsupervised DAVIS evaluation.

    Args:
        prediction: (H, W) ids, 0 background, 1..P the proposals.
        truth: (H, W) ids, 0 background, 1..N the objects, 255 void; ids between are background.
        proposals: P, at least 1; a proposal that is not in the frame is scored as an empty mask.
        objects: N, at least 1.
        name: names the frame in an error.

    Returns:
        (P, N) scores.

    Raises:
        InputError: not label maps, of different sizes, or a predicted id above ``proposals``.
    """
    prediction = as_label_map(prediction, f"{name} (prediction)")
    truth = as_label_map(truth, f"{name} (truth)")
    check_same_size(prediction, truth, name)
    present = int(prediction.max())
    if present > proposals:
        raise InputError(
            f"{name}: the prediction has id {present}, but at most {proposals} proposals are "
            "allowed; keep the best and renumber them"
        )
    prediction = np.where(truth == VOID, np.uint8(0), prediction)
    radius = contour_tolerance(*truth.shape)
    masks = np.concatenate([_stack(prediction, present), _stack(only_ids(truth, objects), objects)])
    part = window(masks, truth.shape[1], radius)
    lines = outline(part)
    near = dilate(lines, radius)
    mine, theirs = slice(0, present), slice(present, None)
    areas, lengths = count(part.masks), count(lines)
    shared = _pair_counts(part.masks[mine], part.masks[theirs], proposals)
    matched_mine = _pair_counts(lines[mine], near[theirs], proposals)
    matched_theirs = _pair_counts(near[mine], lines[theirs], proposals)
    area, length = np.zeros((2, proposals, 1), dtype=np.int64)
    area[mine, 0], length[mine, 0] = areas[mine], lengths[mine]
    union = area + areas[theirs] - shared
    return FrameScores(
        region_j(shared, union),
        boundary_f(matched_mine, length, matched_theirs, lengths[theirs]),
    )


def _stack(labels: LabelMap, objects: int) -> Bits:
    """Pack one label map: (N, H, words)."""
    masks = np.empty((objects, labels.shape[0], -(-labels.shape[1] // 64)), dtype=np.uint64)
    if objects:
        for number, mask in pack_labels((labels,), objects):
            masks[number - 1] = mask[0]
    return masks


def _pair_counts(rows: Bits, columns: Sequence[Bits] | Bits, height: int) -> CountArray:
    """Count the pixels that each row shares with each column, with empty rows up to ``height``."""
    table = np.zeros((height, len(columns)), dtype=np.int64)
    for index, column in enumerate(columns):
        table[: len(rows), index] = count(rows & column)
    return table
