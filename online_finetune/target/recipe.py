"""How a target network is trained: in the tracker's own loop, on clips that get longer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from vostrack.checks import check_at_least, check_finite, check_fraction, check_positive
from vostrack.errors import InputError
from vostrack.models.target_net import TargetNet
from vostrack.online_finetune.target.clip_losses import clip_losses
from vostrack.online_finetune.target.memory import TargetModelConfig
from vostrack.online_finetune.target.training_clip import ClipSource, TrainingClip
from vostrack.online_finetune.target.window import WindowConfig

__all__ = ["TargetRecipe", "TargetTraining"]

# Parts of the loss beside that of the masks, whose weight is 1.
_WEIGHTED = ("rivals", "classifier", "presence", "confirmed")


@dataclass(frozen=True)
class TargetRecipe:
    """Settings of the training.

    Attributes:
        batch: clips per step, or per part of a step where gradients are accumulated.
        clip_length: frames of a clip at the first step and at the last; it grows evenly between.
        pixels: of a window, at most; each clip draws one of these.
        learning_rate: of all but the backbone, at the peak.
        backbone_shares: the backbone's stages of stride 2, 4, 8 and 16 learn at these shares of
            it; a stage of share 0, and those before it, must be fixed.
        outline_share: the decoder's layers of stride 8, 4 and 2, which draw outlines, learn at this
            share of it; with 0 they stay as they are.
        scalar_share: temperatures and penalties, single numbers, learn at this multiple of it.
        rivals_weight: of the loss of the label map, in which objects compete.
        classifier_weight: of the loss that makes the closed-form classifier useful by itself.
        presence_weight: of the loss of the objects' presence.
        confirmed_weight: of that of their presence as trusted memories tell it.
        truth_share: share of frames from which a degraded truth is learned and not the network's
            own mask.
        recent_share: weight of later frames in the classifier.
    """

    batch: int = 1
    clip_length: tuple[int, int] = (3, 8)
    pixels: tuple[int, ...] = (256 * 256, 320 * 320, 384 * 384)
    learning_rate: float = 8e-4
    backbone_shares: tuple[float, float, float, float] = (0.0, 0.0, 0.05, 0.15)
    outline_share: float = 1.0
    scalar_share: float = 3.0
    rivals_weight: float = 0.5
    classifier_weight: float = 0.3
    presence_weight: float = 0.1
    confirmed_weight: float = 0.1
    truth_share: float = 0.15
    recent_share: float = 0.23

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: a number is out of its range.
        """
        check_positive(self, "learning_rate")
        check_at_least(self, {"outline_share": 0})
        weights = [f"{name}_weight" for name in _WEIGHTED]
        check_at_least(self, {"batch": 1, **dict.fromkeys(["scalar_share", *weights], 0)})
        check_finite(self, "learning_rate", "outline_share", "scalar_share", *weights)
        check_fraction(self, "truth_share", "recent_share")
        if not 2 <= self.clip_length[0] <= self.clip_length[1]:
            raise InputError(f"clip_length: expected 2 <= first <= last, got {self.clip_length}")
        if not self.pixels:
            raise InputError("pixels: expected at least one number")
        for pixels in self.pixels:
            WindowConfig(pixels=pixels)
        shares = self.backbone_shares
        if len(shares) != 4 or not all(0 <= share < np.inf for share in shares):
            raise InputError(f"backbone_shares: expected 4 numbers of at least 0, got {shares}")
        if any(a > 0 and b == 0 for a, b in pairwise(shares)):
            raise InputError(
                f"backbone_shares: after a stage that learns all have to learn, got {shares}"
            )

    def length_at(self, progress: float) -> int:
        """Return the frames of a clip at ``progress`` in [0, 1) of the training."""
        first, last = self.clip_length
        return min(last, first + int(progress * (last - first + 1)))


class TargetTraining:
    """Implements the loop's ``Recipe`` for a target network."""

    def __init__(
        self, network: TargetNet, clips: ClipSource, recipe: TargetRecipe, steps: int
    ) -> None:
        """Choose what is trained.

        Args:
            network: trained in place.
            clips: what to draw from.
            recipe: the settings.
            steps: of the whole training, over which clips grow.
        """
        self.network, self.clips, self.recipe, self.steps = network, clips, recipe, steps
        network.requires_grad_(True)
        if network.semantic is not None:
            network.semantic.backbone.requires_grad_(False)
        for stride, share in zip((2, 4, 8, 16), recipe.backbone_shares, strict=True):
            network.backbone.stage_layers(stride).requires_grad_(share > 0)
        for layer in network.decoder.outline_layers():
            layer.requires_grad_(recipe.outline_share > 0)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the backbone's stages, what is above them, outlines, and the single numbers."""
        network, recipe = self.network, self.recipe
        rate = recipe.learning_rate
        groups: list[dict[str, Any]] = []
        for stride, share in zip((2, 4, 8, 16), recipe.backbone_shares, strict=True):
            if share > 0:
                stage = list(network.backbone.stage_layers(stride).parameters())
                groups.append({"params": stage, "lr": rate * share})
        layers = network.decoder.outline_layers()
        outlines = [p for layer in layers for p in layer.parameters() if p.requires_grad]
        if outlines:
            groups.append({"params": outlines, "lr": rate * recipe.outline_share})
        inside = {id(p) for p in [*network.backbone.parameters(), *outlines]}
        rest = [p for p in network.parameters() if p.requires_grad and id(p) not in inside]
        scalars = [p for p in rest if not p.ndim]
        return [
            *groups,
            {"params": [p for p in rest if p.ndim], "lr": rate},
            {"params": scalars, "lr": rate * recipe.scalar_share, "weight_decay": 0.0},
        ]

    def draw(self, generator: Generator, step: int) -> list[TrainingClip]:
        """Draw a batch of clips."""
        length = self.recipe.length_at(step / self.steps)
        return [self.clips.draw(generator, length) for _ in range(self.recipe.batch)]

    def losses(self, batch: list[TrainingClip]) -> dict[str, Tensor]:
        """Follow the objects of each clip, as the tracker does; return the mean losses."""
        every = [
            clip_losses(self.network, clip, self._tracking(clip), self.recipe.truth_share)
            for clip in batch
        ]
        given = {name: getattr(self.recipe, f"{name}_weight") for name in _WEIGHTED}
        weights = {"mask": 1.0, **given}
        return {
            name: weight * torch.stack([losses[name] for losses in every]).mean()
            for name, weight in weights.items()
        }

    def _tracking(self, clip: TrainingClip) -> TargetModelConfig:
        """Draw how a clip is followed: at which resolution, and how wide around the objects."""
        rng = np.random.default_rng([clip["seed"], 1])
        window = WindowConfig(
            pixels=int(rng.choice(self.recipe.pixels)), grow=float(rng.uniform(1.6, 2.3)), step=64
        )
        return replace(
            TargetModelConfig(),
            window=window,
            remember_every=int(rng.integers(2, 5)),
            recent_share=self.recipe.recent_share,
        )
