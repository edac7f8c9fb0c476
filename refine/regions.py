"""Connected regions of a score map, and their overlap with a reference region."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vostrack.arrays import BoolArray, DoubleArray, FloatArray, IntArray

__all__ = ["Regions", "connected_regions", "jaccard"]


@dataclass
class Regions:
    """The connected regions of one score map. Region 0 is the background.

    Attributes:
        numbered: (h, w) int32, the region of each pixel.
        areas: area of each region in pixels; 0 for region 0.
        chosen: the regions selected for an object.
    """

    numbered: NDArray[np.int32]
    areas: IntArray
    chosen: set[int]

    def overlaps(self, reference: BoolArray) -> DoubleArray:
        """Return the Jaccard index of each region with ``reference`` (h, w); 0 for region 0."""
        inside = np.bincount(self.numbered[reference], minlength=len(self.areas))
        union = self.areas + reference.sum() - inside
        jaccard: DoubleArray = np.zeros(len(self.areas))
        np.divide(inside, union, out=jaccard, where=union > 0)
        jaccard[0] = 0
        return jaccard

    def inside(self, reference: BoolArray, fraction: float) -> set[int]:
        """Return the regions with more than a fraction of their area inside ``reference``."""
        inside = np.bincount(self.numbered[reference], minlength=len(self.areas))
        inside[0] = 0
        return {int(number) for number in np.nonzero(inside > fraction * self.areas)[0]}


def connected_regions(score: FloatArray, above: float, connectivity: int) -> Regions:
    """Find the connected regions of a score map. None of them is chosen yet.

    Args:
        score: (h, w) in [0, 1].
        above: pixels with a score above this threshold form the regions.
        connectivity: 4 or 8 neighbours.
    """
    binary = (score > above).astype(np.uint8)
    count, numbered = cv2.connectedComponents(binary, connectivity=connectivity)
    areas = np.bincount(numbered.ravel(), minlength=count)
    areas[0] = 0
    return Regions(numbered.astype(np.int32, copy=False), areas, set())


def jaccard(a: BoolArray, b: BoolArray) -> float:
    """Return the intersection over union of two regions (h, w); 0 if both are empty."""
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 0.0
