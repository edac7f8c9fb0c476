"""What the target network makes of a frame: features, and what is found of the objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from vostrack.models.byte_map import ByteMap

__all__ = ["EarlyLevels", "Features", "Segmentation"]


class EarlyLevels(NamedTuple):
    """What fine-tuning does not change of the backbone's feature maps of B images.

    Attributes:
        stride2: (B, C, h, w), in bytes where the backbone computes in them.
        stride4: (B, C, h, w).
        stride8: (B, C, h, w).
        semantic: (B, C, h, w) of the second backbone, at stride 16; None without one.
        halved: the level of stride 8, averaged to stride 16, where the three levels themselves are
            not kept, but what the lateral layers of the decoder make of them; else None.
    """

    stride2: Tensor | ByteMap
    stride4: Tensor
    stride8: Tensor
    semantic: Tensor | None = None
    halved: Tensor | None = None


@dataclass(frozen=True)
class Features:
    """What the backbone makes of B images, shared by all objects.

    Attributes:
        levels: feature maps at strides 2, 4, 8 and 16; the first may be in bytes.
        key: (B, K, h, w) unit vectors at stride 16.
        embedding: (B, E + 1, h, w) at stride 16; the last channel is 1.
        semantic: (B, C, h, w) of the second backbone, at stride 16; None without one.
        lateral: whether the first three levels are what the lateral layers make of them.
    """

    levels: tuple[Tensor | ByteMap, Tensor, Tensor, Tensor]
    key: Tensor
    embedding: Tensor
    semantic: Tensor | None = None
    lateral: bool = False

    @property
    def deep(self) -> Tensor:
        """What is known of each cell: the last level, and the second backbone's features."""
        if self.semantic is None:
            return self.levels[3]
        return torch.cat([self.levels[3], self.semantic], dim=1)

    def part(self, start: int, stop: int) -> Features:
        """Return those of the images ``start`` to ``stop``."""
        return self._changed(lambda x: x[start:stop], self.levels[0][start:stop])

    def float(self) -> Features:
        """Return the features in float32: similarities and the solver need its precision.

        What is in bytes stays so: its numbers are those of float32.
        """
        first = self.levels[0]
        return self._changed(Tensor.float, first if isinstance(first, ByteMap) else first.float())

    def _changed(self, change: Callable[[Tensor], Tensor], f2: Tensor | ByteMap) -> Features:
        f4, f8, f16 = map(change, self.levels[1:])
        semantic = None if self.semantic is None else change(self.semantic)
        key, embedding = change(self.key), change(self.embedding)
        return Features((f2, f4, f8, f16), key, embedding, semantic, self.lateral)


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
