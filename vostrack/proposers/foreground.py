"""The foreground that proposers work on, from a model that knows no tracked object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vostrack.arrays import FloatArray, UInt8Array

if TYPE_CHECKING:
    import torch

    from vostrack.models.foreground import SegmentationNet

__all__ = ["ForegroundModel"]


class ForegroundModel:
    """The shipped foreground network. It is loaded when it is first asked.

    Args:
        device: where it runs.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._network: SegmentationNet | None = None

    def __call__(self, frame: UInt8Array) -> FloatArray:
        """Return the foreground probability (H, W) in [0, 1] of a frame (H, W, 3) uint8 RGB."""
        from vostrack.models.weights import load_network, shipped_weights
        from vostrack.proposers.first_mask import foreground_probability

        if self._network is None:
            self._network = load_network(shipped_weights()).eval().to(self._device)
        return foreground_probability(self._network, frame)
