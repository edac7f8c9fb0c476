"""Predicted and true instance masks, their overlaps, and the input checks of the AP scorers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vostrack.arrays import AnyArray, BoolArray, DoubleArray, IntArray
from vostrack.errors import InputError
from vostrack.eval.label_maps import as_label_map, check_same_size
from vostrack.masks.palette import VOID

__all__ = [
    "InstanceScorer",
    "Instances",
    "VocInstances",
    "instances_from_voc",
    "overlaps",
    "without_void",
]


@dataclass(frozen=True)
class Instances:
    """The instances of one image.

    Attributes:
        masks: (K, H, W) bool.
        labels: (K,) integers, the class of each instance.
        scores: (K,) floats, the confidence of each detection; None for the ground truth.
    """

    masks: BoolArray
    labels: IntArray
    scores: DoubleArray | None = None

    def __post_init__(self) -> None:
        """Check the shapes.

        Raises:
            InputError: the masks are malformed, the number of labels or scores differs from that
                of the masks, or a score is NaN.
        """
        if self.masks.ndim != 3 or self.masks.dtype != np.bool_:
            raise InputError(
                "Instances.masks: expected a bool array of shape (K, H, W), "
                f"got {self.masks.dtype} of shape {self.masks.shape}"
            )
        for name, values in (("labels", self.labels), ("scores", self.scores)):
            if values is not None and values.shape != (len(self.masks),):
                raise InputError(
                    f"Instances.{name}: expected shape ({len(self.masks)},), one for each mask, "
                    f"got {values.shape}"
                )
        if self.scores is not None and np.isnan(self.scores).any():
            raise InputError("Instances.scores: expected numbers, got NaN; remove these instances")

    def __len__(self) -> int:
        """Return K, the number of instances."""
        return len(self.masks)


class VocInstances(NamedTuple):
    """The ground truth of a PASCAL VOC image.

    Attributes:
        instances: the true instances, in the order of their ids.
        void: (H, W) bool, the void pixels of the object map.
    """

    instances: Instances
    void: BoolArray


def instances_from_voc(class_map: AnyArray, object_map: AnyArray) -> VocInstances:
    """Extract the true instances from a pair of PASCAL VOC label maps.

    Args:
        class_map: (H, W) of ``SegmentationClass``: 0 background, 1..20 classes, 255 void.
        object_map: (H, W) of ``SegmentationObject``: 0 background, 1.. instances, 255 void.

    Returns:
        The instances, each with the most frequent class of its pixels, and the void pixels.

    Raises:
        InputError: the label maps are malformed or differ in size, or an instance has no class.
    """
    object_map = as_label_map(object_map, "object map")
    class_map = as_label_map(class_map, "class map")
    check_same_size(class_map, object_map, "class map against object map")
    ids = [int(number) for number in np.unique(object_map) if number not in (0, VOID)]
    masks = np.zeros((len(ids), *object_map.shape), dtype=np.bool_)
    labels = np.zeros(len(ids), dtype=np.int64)
    for index, number in enumerate(ids):
        masks[index] = object_map == number
        votes = np.bincount(class_map[masks[index]], minlength=256)
        votes[[0, VOID]] = 0
        if not votes.any():
            raise InputError(
                f"object map: instance {number} has no class in the class map; "
                "use the two files of the same image"
            )
        labels[index] = int(votes.argmax())
    return VocInstances(Instances(masks, labels), object_map == VOID)


class InstanceScorer(ABC):
    """Collects the detections of images, after checking them."""

    def update(
        self, prediction: Instances, truth: Instances, void: BoolArray | None = None
    ) -> None:
        """Add one image.

        Args:
            prediction: the detections, with scores.
            truth: the true instances.
            void: (H, W) bool, pixels to ignore; None for none.

        Raises:
            InputError: the detections have no scores, or the sizes of the masks differ.
        """
        if prediction.scores is None:
            raise InputError("prediction.scores: expected one score for each detection, got None")
        sizes = [masks.shape[-2:] for masks in (prediction.masks, truth.masks)]
        sizes += [] if void is None else [void.shape]
        if len(set(sizes)) > 1:
            raise InputError(
                "prediction, truth and void: expected the same size (H, W), got "
                + ", ".join(str(size) for size in sizes)
            )
        self._add(prediction, prediction.scores, truth, void)

    @abstractmethod
    def _add(
        self, prediction: Instances, scores: DoubleArray, truth: Instances, void: BoolArray | None
    ) -> None: ...


def without_void(instances: Instances, void: BoolArray | None) -> BoolArray:
    """Return the masks without the void pixels (H, W), which are not evaluated."""
    return instances.masks if void is None else instances.masks & ~void


def overlaps(first: BoolArray, second: BoolArray) -> DoubleArray:
    """Return the intersection over union of every pair of masks.

    Args:
        first: (K, H, W) bool.
        second: (M, H, W) bool.

    Returns:
        (K, M) in [0, 1]; 0 if both masks are empty.
    """
    pixels = first.shape[1] * first.shape[2]
    # Sums of up to 2^24 ones are exact in float32, and a matrix product counts fastest.
    exact = np.dtype(np.float32 if pixels <= 2**24 else np.float64)
    rows = first.reshape(len(first), pixels).astype(exact)
    columns = second.reshape(len(second), pixels).astype(exact)
    shared = np.matmul(rows, columns.T).astype(np.float64)
    areas = rows.sum(axis=1, dtype=np.float64)[:, None] + columns.sum(axis=1, dtype=np.float64)
    union = areas - shared
    return np.where(union > 0, shared / np.maximum(union, 1), 0.0)
