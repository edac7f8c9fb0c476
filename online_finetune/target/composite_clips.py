"""Training clips composed of cut-out photographs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Generator

from vostrack.datasets.composites import CompositeConfig, CompositeSources, draw_clip
from vostrack.online_finetune.target.training_clip import TrainingClip

__all__ = ["CompositeClips"]

# H and W of the frames: upright, level and square windows in turn.
_SIZES = ((384, 384), (320, 448), (448, 320))


class CompositeClips:
    """Draws composed clips; see ``vostrack.datasets.composites``."""

    def __init__(self, sources: CompositeSources, config: CompositeConfig) -> None:
        """Take what clips are composed of; ``size`` and ``frames`` of ``config`` are not used."""
        self.sources, self.config = sources, config

    def draw(self, generator: Generator, length: int) -> TrainingClip:
        """Draw a clip of ``length`` frames; ``generator`` is the only source of chance."""
        seed, size = torch.randint(2**62, (2,), generator=generator).tolist()
        config = replace(self.config, size=_SIZES[size % len(_SIZES)], frames=(length, length))
        clip = draw_clip(self.sources, config, seed)
        return TrainingClip(
            images=torch.from_numpy(np.ascontiguousarray(clip.images.transpose(0, 3, 1, 2))),
            labels=torch.from_numpy(clip.labels),
            lost=False,
            resumed=False,
            seed=seed,
        )
