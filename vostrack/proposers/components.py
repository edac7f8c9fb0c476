"""The simplest proposer: the connected components of the foreground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.errors import InputError
from vostrack.protocols import InstanceProposals

__all__ = ["ComponentsOptions", "ForegroundComponents"]


@dataclass(frozen=True)
class ComponentsOptions:
    """Options of the proposer components."""

    threshold: float = 0.5
    """A pixel is foreground from this probability on, 0 to 1."""

    min_pixels: int = 100
    """Smaller components are left out, pixels."""

    max_proposals: int = 20
    """Most components of a frame, the most probable first."""


class ForegroundComponents:
    """Each connected piece of the foreground is an instance, scored by its mean probability.

    Implements ``InstanceProposer``. Objects that touch come out as one.
    """

    def __init__(self, config: ComponentsOptions | None = None) -> None:
        self.config = config or ComponentsOptions()

    def propose(self, frame: UInt8Array, foreground: FloatArray | None) -> InstanceProposals:
        """Propose the 8-connected components of the foreground.

        Args:
            frame: (H, W, 3) uint8 RGB.
            foreground: (H, W) in [0, 1].

        Raises:
            InputError: no foreground was given.
        """
        import cv2

        if foreground is None:
            raise InputError(
                "the proposer components needs a foreground probability; use it in a tracker with "
                "a foreground model"
            )
        binary = (foreground >= self.config.threshold).astype(np.uint8)
        count, numbered, stats, _ = cv2.connectedComponentsWithStats(binary, connectivity=8)
        areas = stats[:, cv2.CC_STAT_AREA]
        sums = np.bincount(numbered.ravel(), foreground.ravel(), minlength=count)
        large = [k for k in range(1, count) if areas[k] >= self.config.min_pixels]
        means = {k: float(sums[k] / areas[k]) for k in large}
        kept = sorted(large, key=lambda k: (-means[k], k))[: self.config.max_proposals]
        x, y, w, h = (stats[kept, i] for i in range(4))
        shape = (len(kept), *foreground.shape)
        masks = np.stack([numbered == k for k in kept]) if kept else np.zeros(shape, np.bool_)
        return InstanceProposals(
            masks=masks,
            scores=np.array([means[k] for k in kept], np.float32),
            labels=np.zeros(len(kept), np.int64),
            boxes=np.stack([x, y, x + w, y + h], axis=1).astype(np.float32),
        )
