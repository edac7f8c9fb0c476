"""How a target network is trained: three frames at a time, its own masks as memories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from vostrack.checks import check_at_least, check_finite, check_fraction, check_positive
from vostrack.models.memory_cues import Memory, cover
from vostrack.models.target_net import Features, Segmentation, TargetNet
from vostrack.online_finetune.target.clip_samples import ClipSamples
from vostrack.online_finetune.target.finetune import target_loss

__all__ = ["TargetRecipe", "TargetTraining"]

# An object of fewer pixels of the window is as good as absent.
_PRESENT = 30


@dataclass(frozen=True)
class TargetRecipe:
    """Settings of the training.

    Attributes:
        batch: clips per step.
        learning_rate: of all but the backbone, at the peak.
        backbone_share: the backbone's last stage learns at this share of it; the others are frozen.
        scalar_share: temperatures and penalties, single numbers, learn at this multiple of it.
        classifier_weight: of the loss that makes the closed-form classifier useful by itself.
        presence_weight: of the loss of the objects' presence.
        truth_share: share of clips whose second memory is a degraded truth and not the network's
            own mask.
        recent_share: weight of the second memory in the classifier.
    """

    batch: int = 5
    learning_rate: float = 8e-4
    backbone_share: float = 0.15
    scalar_share: float = 3.0
    classifier_weight: float = 0.3
    presence_weight: float = 0.1
    truth_share: float = 0.3
    recent_share: float = 0.23

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: a number is out of its range.
        """
        check_positive(self, "learning_rate")
        factors = ("backbone_share", "scalar_share", "classifier_weight", "presence_weight")
        check_at_least(self, {"batch": 1, **dict.fromkeys(factors, 0)})
        check_finite(self, "learning_rate", *factors)
        check_fraction(self, "truth_share", "recent_share")


class TargetTraining:
    """Implements the loop's ``Recipe`` for a target network."""

    def __init__(self, network: TargetNet, samples: ClipSamples, recipe: TargetRecipe) -> None:
        self.network, self.samples, self.recipe = network, samples, recipe
        network.freeze_early_stages()

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the backbone's last stage, the layers above it, and the single numbers."""
        inside = {id(p) for p in self.network.backbone.parameters()}
        trained = [p for p in self.network.parameters() if p.requires_grad]
        rate = self.recipe.learning_rate
        backbone = [p for p in trained if id(p) in inside]
        head = [p for p in trained if id(p) not in inside and p.ndim]
        scalars = [p for p in trained if not p.ndim]
        return [
            {"params": backbone, "lr": rate * self.recipe.backbone_share},
            {"params": head, "lr": rate},
            {"params": scalars, "lr": rate * self.recipe.scalar_share, "weight_decay": 0.0},
        ]

    def draw(self, generator: Generator, step: int) -> dict[str, Tensor]:
        """Draw a batch of clips."""
        clips = [self.samples.draw(generator) for _ in range(self.recipe.batch)]
        truth = torch.rand(len(clips), generator=generator) < self.recipe.truth_share
        return {
            "images": torch.stack([clip.images for clip in clips], dim=1),
            "masks": torch.stack([clip.masks for clip in clips], dim=1),
            "near": torch.tensor([float(clip.near) for clip in clips]),
            "degraded": torch.stack([clip.degraded for clip in clips]),
            "truth": truth.float().view(-1, 1, 1, 1),
        }

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Segment the second frame from the first, then the third from both."""
        masks, near, count = batch["masks"], batch["near"], len(batch["near"])
        every = self.network.features(batch["images"].flatten(0, 1))
        frames = [every.part(i * count, (i + 1) * count) for i in range(3)]
        places = _grid(frames[0].key)
        first = self.network.remember(frames[0], masks[0], places)
        near_first = (first, near, masks[0])
        losses, own = self._segment(frames[1], places, first, near_first, first, masks[1], "second")
        memory = batch["degraded"] * batch["truth"] + own.detach() * (1 - batch["truth"])
        second = self.network.remember(frames[1], memory, places)
        more, _ = self._segment(
            frames[2],
            places,
            first,
            (second, torch.ones_like(near), memory),
            second,
            masks[2],
            "third",
        )
        return losses | more

    def _segment(
        self,
        features: Features,
        places: Tensor,
        first: Memory,
        recent: tuple[Memory, Tensor, Tensor],
        later: Memory,
        truth: Tensor,
        name: str,
    ) -> tuple[dict[str, Tensor], Tensor]:
        memory, near, previous = recent
        statistics = first.statistics.mixed(later.statistics, self.recipe.recent_share)
        found: Segmentation = self.network(
            features, places, ([first], [memory]), statistics, previous, near
        )
        logits = F.interpolate(
            found.logits.float(), size=truth.shape[-2:], mode="bilinear", align_corners=False
        )
        wanted = cover(truth, found.classified.shape[-2:]) * 2 - 1
        present = (truth.sum((1, 2, 3)) >= _PRESENT).float()
        classifier = F.mse_loss(found.classified.float(), wanted)
        presence = F.binary_cross_entropy_with_logits(found.presence.float(), present)
        return {
            name: target_loss(logits, truth),
            f"{name}_classifier": self.recipe.classifier_weight * classifier,
            f"{name}_presence": self.recipe.presence_weight * presence,
        }, logits.sigmoid()


def _grid(key: Tensor) -> Tensor:
    """Return x and y of the cells in units of the window: (1, 2, h, w)."""
    axes = [(torch.arange(n, device=key.device) + 0.5) / n for n in key.shape[-2:]]
    y, x = torch.meshgrid(*axes, indexing="ij")
    return torch.stack([x, y])[None]
