"""Region similarity J and contour accuracy F of one frame.

Perazzi et al. 2016, "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation",
section 5, with the conventions of the DAVIS 2017 evaluation code. Objects are compared exactly, as
sets of pixels. Nothing is resized or approximated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vostrack.arrays import AnyArray, DoubleArray, UInt8Array
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


@dataclass(frozen=True)
class FrameScores:
    """J and F of one frame.

    Attributes:
        j: region similarity in [0, 1]; (N,) for objects, or (P, N) for pairs of a proposal and an
            object.
        f: contour accuracy in [0, 1], of the same shape.
    """

    j: DoubleArray
    f: DoubleArray


def contour_tolerance(height: int, width: int) -> int:
    """Return the maximum distance of matching contours: 0.8 % of the diagonal, in pixels."""
    return math.ceil(0.008 * float(np.linalg.norm((height, width))))


def region_j(intersection: int, union: int) -> float:
    """Return the Jaccard index from pixel counts; 1 if both masks are empty."""
    return intersection / union if union else 1.0


def boundary_f(matched_prediction: int, prediction: int, matched_truth: int, truth: int) -> float:
    """Return the F-measure of contours from pixel counts.

    The precision or recall of an empty contour is 1, so F is 1 if both are empty and 0 if only one
    is.

    Args:
        matched_prediction: predicted contour pixels within the tolerance of the true contour.
        prediction: all predicted contour pixels.
        matched_truth: true contour pixels within the tolerance of the predicted contour.
        truth: all true contour pixels.
    """
    precision = matched_prediction / prediction if prediction else 1.0
    recall = matched_truth / truth if truth else 1.0
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


def frame_scores(
    prediction: AnyArray, truth: AnyArray, objects: int, *, name: str = "frame"
) -> FrameScores:
    """Score each object of one frame against the truth of the same id.

    An object that is absent from both scores 1; if it is absent from only one, it scores 0. Void
    (255) in the truth is background, as in the semi-supervised DAVIS evaluation. So are true ids
    above ``objects``, which belong to objects that are not in the first frame.

    Args:
        prediction: (H, W) ids; 0 background, 1..N objects.
        truth: (H, W) ids; 0 background, 1..N objects, 255 void.
        objects: number of objects N, at least 1.
        name: name of the frame in messages.

    Returns:
        The scores of the N objects.

    Raises:
        InputError: a label map is malformed, the sizes differ, or a predicted id is above
            ``objects``.
    """
    if objects < 1:
        raise InputError(f"objects: expected at least 1, got {objects}")
    prediction = as_label_map(prediction, f"{name} (prediction)")
    truth = as_label_map(truth, f"{name} (truth)")
    check_same_size(prediction, truth, name)
    if (highest := int(prediction.max())) > objects:
        raise InputError(
            f"{name}: expected ids up to {objects} in the prediction, got id {highest}; number "
            "the objects like the first frame's annotation"
        )
    return matched_scores(prediction, only_ids(truth, objects), objects)


def only_ids(truth: UInt8Array, objects: int) -> UInt8Array:
    """Set ids above ``objects``, including void, to 0."""
    if int(truth.max()) <= objects:
        return truth
    return np.where(truth > objects, np.uint8(0), truth)


def matched_scores(prediction: UInt8Array, truth: UInt8Array, objects: int) -> FrameScores:
    """Score each object against the truth of the same id, without checking the input.

    Args:
        prediction: (H, W) uint8, ids 0..N. If N is 1, any id above 0 is the object.
        truth: (H, W) uint8, in the same form.
        objects: number of objects N, at least 1.

    Returns:
        The scores of the N objects.
    """
    radius = contour_tolerance(*truth.shape)
    scores = FrameScores(np.empty(objects), np.empty(objects))
    for number, masks in pack_labels((prediction, truth), objects):
        counts = _matched_counts(window(masks, truth.shape[1], radius), radius)
        scores.j[number - 1] = region_j(*counts[:2])
        scores.f[number - 1] = boundary_f(*counts[2:])
    return scores


def _matched_counts(part: Window, radius: int) -> list[int]:
    """Return the counts of one object: intersection, union, and the arguments of ``boundary_f``."""
    lines = outline(part)
    near = dilate(lines, radius)
    sets = np.empty((6, *lines.shape[1:]), dtype=np.uint64)
    np.bitwise_and(part.masks[0], part.masks[1], out=sets[0])
    np.bitwise_or(part.masks[0], part.masks[1], out=sets[1])
    np.bitwise_and(lines[0], near[1], out=sets[2])
    sets[3] = lines[0]
    np.bitwise_and(lines[1], near[0], out=sets[4])
    sets[5] = lines[1]
    counts: list[int] = count(sets).tolist()
    return counts


def pair_scores(
    prediction: AnyArray,
    truth: AnyArray,
    proposals: int,
    objects: int,
    *,
    name: str = "frame",
) -> FrameScores:
    """Score every proposal of one frame against every object.

    Void (255) in the truth is removed from both, as in the unsupervised DAVIS evaluation.

    Args:
        prediction: (H, W) ids; 0 background, 1..P proposals.
        truth: (H, W) ids; 0 background, 1..N objects, 255 void. Other ids are background.
        proposals: number of proposals P, at least 1. Proposals that are not in the frame are scored
            as empty masks.
        objects: number of objects N, at least 1.
        name: name of the frame in messages.

    Returns:
        The scores (P, N) of all pairs.

    Raises:
        InputError: a label map is malformed, the sizes differ, or a predicted id is above
            ``proposals``.
    """
    prediction = as_label_map(prediction, f"{name} (prediction)")
    truth = as_label_map(truth, f"{name} (truth)")
    check_same_size(prediction, truth, name)
    present = int(prediction.max())
    if present > proposals:
        raise InputError(
            f"{name}: expected at most {proposals} proposals in the prediction, got id {present}; "
            "keep the best ones and renumber them"
        )
    prediction = np.where(truth == VOID, np.uint8(0), prediction)
    radius = contour_tolerance(*truth.shape)
    masks = np.concatenate([_stack(prediction, present), _stack(only_ids(truth, objects), objects)])
    part = window(masks, truth.shape[1], radius)
    lines = outline(part)
    near = dilate(lines, radius)
    mine, theirs = slice(0, present), slice(present, None)
    shared = _pair_counts(part.masks[mine], part.masks[theirs], proposals)
    matched_mine = _pair_counts(lines[mine], near[theirs], proposals)
    matched_theirs = _pair_counts(near[mine], lines[theirs], proposals)
    areas, lengths = count(part.masks).tolist(), count(lines).tolist()
    empty = [0] * (proposals - present)
    scores = FrameScores(np.empty((proposals, objects)), np.empty((proposals, objects)))
    for row, (area, length) in enumerate(
        zip(areas[mine] + empty, lengths[mine] + empty, strict=True)
    ):
        for column, (true_area, true_length) in enumerate(
            zip(areas[theirs], lengths[theirs], strict=True)
        ):
            both = shared[row][column]
            scores.j[row, column] = region_j(both, area + true_area - both)
            scores.f[row, column] = boundary_f(
                matched_mine[row][column], length, matched_theirs[row][column], true_length
            )
    return scores


def _stack(labels: UInt8Array, objects: int) -> Bits:
    """Pack the objects of one label map: (N, H, words)."""
    masks = np.empty((objects, labels.shape[0], -(-labels.shape[1] // 64)), dtype=np.uint64)
    if objects:
        for number, mask in pack_labels((labels,), objects):
            masks[number - 1] = mask[0]
    return masks


def _pair_counts(rows: Bits, columns: Bits, height: int) -> list[list[int]]:
    """Count the pixels that each row shares with each column. Pad with zeros to ``height`` rows."""
    table = np.zeros((height, len(columns)), dtype=np.int64)
    for index, column in enumerate(columns):
        table[: len(rows), index] = count(rows & column)
    counts: list[list[int]] = table.tolist()
    return counts
