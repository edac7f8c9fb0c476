"""Objects in semantic masks: told apart by void outlines, and shown with or without them.

VOC draws a void line around every object, also between two that touch and have one class. So the
connected pieces of its semantic masks are objects, mostly; with the lines filled in, the mask
looks like one of a semantic network, which draws none. No instance label is read.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

from vostrack.arrays import IntArray, UInt8Array
from vostrack.masks.palette import VOID

__all__ = [
    "UNKNOWN",
    "draw_outlines",
    "fill_outlines",
    "number_objects",
    "present_labels",
    "soften",
]

Chance = np.random.Generator

UNKNOWN = -1
"""The number of unknown pixels."""

_SMALL = 0.1


def present_labels(labels: UInt8Array) -> list[int]:
    """List the values of a label map; faster than numpy's ``unique``, which sorts."""
    present: list[int] = np.flatnonzero(np.bincount(labels.ravel(), minlength=256)).tolist()
    return present


def number_objects(labels: UInt8Array) -> IntArray:
    """Number the connected pieces of every class.

    A piece much smaller than the largest one of its class may be a part that an occluder separates,
    or a small object. So it is unknown.

    Args:
        labels: (H, W): 0 background, 255 void, all others classes.

    Returns:
        (H, W): 0 background, -1 void and unknown, 1.. objects.
    """
    numbers = np.where(labels == VOID, UNKNOWN, 0).astype(np.int64)
    used = 0
    for class_id in present_labels(labels):
        if class_id in (0, VOID):
            continue
        mask = (labels == class_id).astype(np.uint8)
        count, pieces, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
        areas = stats[:, cv2.CC_STAT_AREA].astype(np.int64)
        areas[0] = 0
        table = np.where(areas >= _SMALL * areas.max(), np.cumsum(np.ones(count)) - 1, UNKNOWN)
        table[table > 0] += used
        inside = pieces > 0
        numbers[inside] = table[pieces[inside]].astype(np.int64)
        used += count - 1
    return numbers


def fill_outlines(
    labels: UInt8Array, numbers: IntArray, reach: float
) -> tuple[UInt8Array, IntArray]:
    """Fill void pixels near known ones with the nearest known value.

    Args:
        labels: (H, W) label map.
        numbers: (H, W) of its objects.
        reach: void further than this from all known pixels stays void, in pixels.

    Returns:
        Both maps without thin lines of void.
    """
    void = labels == VOID
    if not void.any() or void.all():
        return labels, numbers
    distance, nearest = ndimage.distance_transform_edt(void, return_indices=True)
    thin = void & (distance <= reach)
    rows, columns = nearest[:, thin]
    filled, known = labels.copy(), numbers.copy()
    filled[thin] = labels[rows, columns]
    known[thin] = numbers[rows, columns]
    return filled, known


def draw_outlines(labels: UInt8Array, numbers: IntArray, width: int) -> UInt8Array:
    """Draw void lines of 2 ``width`` pixels where two objects, or object and background, meet."""
    compact = (numbers + 1).astype(np.uint16)
    kernel = np.ones((2 * width + 1,) * 2, np.uint8)
    lines = cv2.dilate(compact, kernel) != cv2.erode(compact, kernel)
    return np.where(lines, VOID, labels).astype(np.uint8)


def soften(labels: UInt8Array, chance: Chance) -> UInt8Array:
    """Round and displace the edges of a label map, like those of a semantic network.

    Args:
        labels: (H, W); void becomes background.
        chance: of the strength and the noise.
    """
    known = np.where(labels == VOID, 0, labels)
    classes = np.array(present_labels(known))
    if len(classes) < 2:
        return known.astype(np.uint8)
    sigma = float(chance.uniform(0.7, 4.0))
    noise = float(chance.uniform(0.0, 0.5))
    shape = (len(classes), -(-labels.shape[0] // 8), -(-labels.shape[1] // 8))
    rough = chance.normal(0, noise, shape).astype(np.float32)
    size = (labels.shape[1], labels.shape[0])
    votes = [
        cv2.GaussianBlur((known == class_id).astype(np.float32), (0, 0), sigma)
        + 0.5 * cv2.resize(field, size, interpolation=cv2.INTER_CUBIC)
        for class_id, field in zip(classes, rough, strict=True)
    ]
    # Far from any edge a vote is 0 or 1, and noise alone changes nothing.
    winner = np.argmax(np.stack(votes), axis=0)
    return np.asarray(classes[winner], dtype=np.uint8)
