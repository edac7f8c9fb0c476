"""Several sources of clips, each with its share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator

from vostrack.errors import InputError
from vostrack.online_finetune.target.training_clip import ClipSource, TrainingClip

__all__ = ["ClipMixture"]


class ClipMixture:
    """Draws each clip from one of several sources, chosen by their shares."""

    def __init__(self, sources: Sequence[tuple[ClipSource, float]]) -> None:
        """Take the sources with their shares, which are scaled to a sum of 1.

        Raises:
            InputError: no source, or a share that is not over 0.
        """
        shares = [share for _, share in sources]
        if not shares or not all(0 < share < math.inf for share in shares):
            raise InputError(f"training data: expected shares over 0, got {shares or 'no data'}")
        self._sources = [source for source, _ in sources]
        self._shares = torch.tensor(shares, dtype=torch.float64)

    def draw(self, generator: Generator, length: int) -> TrainingClip:
        """Draw a clip of ``length`` frames; ``generator`` is the only source of chance."""
        chosen = int(torch.multinomial(self._shares, 1, generator=generator))
        return self._sources[chosen].draw(generator, length)
