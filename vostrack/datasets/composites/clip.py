"""The one type that the generator hands out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["CompositeClip"]


@dataclass(frozen=True)
class CompositeClip:
    """A composed clip with its true masks.

    Attributes:
        images: (T, H, W, 3) uint8 RGB.
        labels: (T, H, W) uint8; 0 background, 1..N objects. All N are visible in the first frame.
        tags: what happens in the clip, such as "look-alike" or "smoke"; see ``TAGS``.
        seed: draws the same clip again, with the same sources and settings.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    tags: frozenset[str]
    seed: int

    @property
    def objects(self) -> int:
        """N."""
        return int(self.labels[0].max(initial=0))
