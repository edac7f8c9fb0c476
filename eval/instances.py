"""Sets of instance masks, as predicted and as true, and how far each two overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vostrack.arrays import AnyArray, BoolArray, DoubleArray, IntArray
from vostrack.errors import InputError
from vostrack.eval.label_maps import as_label_map, check_same_size
from vostrack.masks.palette import VOID

__all__ = ["Instances", "instances_from_voc", "overlaps", "without_void"]


@dataclass(frozen=True)
class Instances:
    """The instances of one image.

    Attributes:
        masks: (K, H, W) bool.
        labels: (K,) integers, the class of each.
        scores: (K,) floats, higher is surer; None for the truth.
    """

    masks: BoolArray
    labels: IntArray
    scores: DoubleArray | None = None

    def __post_init__(self) -> None:
        """Check the shapes against one another.

        Raises:
            InputError: not masks, or another number of labels or scores than of masks, or a score
                that is not a number.
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
            raise InputError("Instances.scores: expected numbers, got NaN; drop such instances")

    def __len__(self) -> int:
        """Return K."""
        return len(self.masks)


def instances_from_voc(class_map: AnyArray, object_map: AnyArray) -> tuple[Instances, BoolArray]:
    """Read the true instances from a pair of PASCAL VOC label maps.

    Args:
        class_map: (H, W) of ``SegmentationClass``: 0 background, 1..20 classes, 255 void.
        object_map: (H, W) of ``SegmentationObject``: 0 background, 1.. instances, 255 void.

    Returns:
        The instances in the order of their ids, each with the class that most of its pixels have,
        and the void pixels (H, W) bool of the object map.

    Raises:
        InputError: not label maps, of different sizes, or an instance whose pixels have no class.
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
                "give the two files of the same image"
            )
        labels[index] = int(votes.argmax())
    return Instances(masks, labels), object_map == VOID


def without_void(instances: Instances, void: BoolArray | None) -> BoolArray:
    """Return the masks without the void pixels (H, W), which are judged for nobody."""
    return instances.masks if void is None else instances.masks & ~void


def overlaps(first: BoolArray, second: BoolArray) -> DoubleArray:
    """Return the intersection over union of each two masks.

    Args:
        first: (K, H, W) bool.
        second: (M, H, W) bool.

    Returns:
        (K, M) in [0, 1]; 0 where both masks are empty.
    """
    pixels = first.shape[1] * first.shape[2]
    # Sums of up to 2^24 ones are exact in float32, and a matrix product is the fastest counter.
    exact = np.dtype(np.float32 if pixels <= 2**24 else np.float64)
    rows = first.reshape(len(first), pixels).astype(exact)
    columns = second.reshape(len(second), pixels).astype(exact)
    shared = np.matmul(rows, columns.T).astype(np.float64)
    areas = rows.sum(axis=1, dtype=np.float64)[:, None] + columns.sum(axis=1, dtype=np.float64)
    union = areas - shared
    return np.where(union > 0, shared / np.maximum(union, 1), 0.0)
