"""What a lateral layer of the decoder makes of a feature map, in the place of the map."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["LateralMap"]


class LateralMap:
    """The output of a lateral layer, computed once where neither the layer nor the map changes.

    It has a quarter of the channels: less to keep, and nothing to convolve again.

    Args:
        values: (B, C, h, w).
    """

    def __init__(self, values: Tensor) -> None:
        self.values = values

    @property
    def shape(self) -> torch.Size:
        """B, C, h and w."""
        return self.values.shape

    def __len__(self) -> int:
        """Return B."""
        return len(self.values)

    def __getitem__(self, index: Any) -> LateralMap:
        """Return a part of the map, as tensors do."""
        return LateralMap(self.values[index])
