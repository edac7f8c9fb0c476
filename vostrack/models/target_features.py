"""What the target network makes of a frame: features, and what is found of the objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Features", "Segmentation"]


@dataclass(frozen=True)
class Features:
    """What the backbone makes of B images, shared by all objects.

    Attributes:
        levels: feature maps at strides 2, 4, 8 and 16.
        key: (B, K, h, w) unit vectors at stride 16.
        embedding: (B, E + 1, h, w) at stride 16; the last channel is 1.
        semantic: (B, C, h, w) of the second backbone, at stride 16; None without one.
    """

    levels: tuple[Tensor, Tensor, Tensor, Tensor]
    key: Tensor
    embedding: Tensor
    semantic: Tensor | None = None

    @property
    def deep(self) -> Tensor:
        """What is known of each cell: the last level, and the second backbone's features."""
        if self.semantic is None:
            return self.levels[3]
        return torch.cat([self.levels[3], self.semantic], dim=1)

    def part(self, start: int, stop: int) -> Features:
        """Return those of the images ``start`` to ``stop``."""
        return self._changed(lambda x: x[start:stop])

    def float(self) -> Features:
        """Return the features in float32: similarities and the solver need its precision."""
        return self._changed(Tensor.float)

    def _changed(self, change: Callable[[Tensor], Tensor]) -> Features:
        f2, f4, f8, f16 = map(change, self.levels)
        semantic = None if self.semantic is None else change(self.semantic)
        return Features((f2, f4, f8, f16), change(self.key), change(self.embedding), semantic)


@dataclass(frozen=True)
class Segmentation:
    """What is found of B objects in a frame.

    Attributes:
        logits: (B, 1, h2, w2) of the masks, at stride 2.
        presence: (B,) logits of the objects' being in the window at all.
        classified: (B, 1, h, w) at stride 16, what the closed-form classifier gives for the mask:
            about -1 on the background and 1 on the object.
        read: (B, C, h, w) at stride 16, what the decoder makes of the frame and of the memories
            that count wherever they lie; of the regions where there are any. None
            where it is not kept.
    """

    logits: Tensor
    presence: Tensor
    classified: Tensor
    read: Tensor | None = None
