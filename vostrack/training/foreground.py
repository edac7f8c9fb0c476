"""Train the generic foreground model (Cheng et al. 2017, section 3.3, first step)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from vostrack.checks import (
    check_at_least,
    check_finite,
    check_fraction,
    check_not_empty,
    check_positive,
)
from vostrack.datasets.augmentation import (
    IGNORE,
    AugmentationConfig,
    apply_augmentation,
    draw_augmentation,
    strong_augmentation,
)
from vostrack.models.foreground import SegmentationNet

__all__ = ["ForegroundRecipe", "ForegroundTraining", "Sample", "foreground_loss"]

# One training image: image (3, H, W) uint8, labels (H, W) int64 with 0, 1 and 255.
Sample = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class ForegroundRecipe:
    """How the generic foreground model is trained, apart from the loop.

    Attributes:
        batch: crops per step and process.
        side: of the square crops, pixels.
        on_object: share of the crops that are centred on an object pixel.
        photo_share: share of the crops that are of photographs, where there are any.
        learning_rate: of the backbone, at the peak; with 0 it stays as it is. The second backbone,
            if there is one, always does.
        head_learning_rate: of the head, at the peak.
        augmentation: what a crop may go through. With few distinct sequences, strong variation
            helps more than additional steps.
    """

    batch: int = 6
    side: int = 320
    on_object: float = 0.7
    photo_share: float = 0.5
    learning_rate: float = 1e-4
    head_learning_rate: float = 6e-4
    augmentation: AugmentationConfig = field(
        default_factory=lambda: strong_augmentation(brightness=0.3, contrast=0.3, saturation=0.4)
    )

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: a value out of its range.
        """
        check_fraction(self, "on_object", "photo_share")
        check_at_least(self, {"batch": 1, "side": 32, "learning_rate": 0})
        check_positive(self, "head_learning_rate")
        check_finite(self, "learning_rate", "head_learning_rate")


def foreground_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy plus soft Dice of the foreground, each over the labelled pixels.

    Args:
        logits: (B, 2, H, W).
        target: (B, H, W) int64: 0, 1, or 255 for pixels that do not count.

    Returns:
        A scalar.
    """
    counted = (target != IGNORE).float()
    truth = (target == 1).float()
    probability = logits.softmax(1)[:, 1] * counted
    overlap = (probability * truth).sum((1, 2))
    # The 1 keeps an empty crop from dividing by zero and its loss from jumping.
    dice = 1 - (2 * overlap + 1) / (probability.sum((1, 2)) + truth.sum((1, 2)) + 1)
    return F.cross_entropy(logits, target, ignore_index=IGNORE) + dice.mean()


class ForegroundTraining:
    """Draws crops and computes the losses; ``vostrack.training.loop.train`` follows it.

    Args:
        network: two outputs, on its device; trained in place.
        samples: the images.
        recipe: how the network is trained.
        photos: further images, for ``photo_share`` of the crops.

    Raises:
        InputError: there are no samples.
    """

    def __init__(
        self,
        network: SegmentationNet,
        samples: Sequence[Sample],
        recipe: ForegroundRecipe | None = None,
        photos: Sequence[Sample] = (),
    ) -> None:
        check_not_empty(samples, "image")
        self.network = network
        self.samples, self.photos = samples, photos
        self.recipe = recipe or ForegroundRecipe()

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return what learns, the backbone and the head, each with its peak learning rate."""
        head = {"params": self.network.head.parameters(), "lr": self.recipe.head_learning_rate}
        if self.recipe.learning_rate == 0:
            self.network.backbone.requires_grad_(False)
            return [head]
        backbone = {"params": self.network.backbone.parameters(), "lr": self.recipe.learning_rate}
        return [backbone, head]

    def draw(self, generator: Generator, step: int) -> tuple[Tensor, Tensor]:
        """Draw a batch: crops (B, 3, S, S) in [0, 1], and labels (B, S, S) of 0, 1 and 255."""
        size = (self.recipe.side, self.recipe.side)
        crops = []
        for _ in range(self.recipe.batch):
            samples = self.samples
            if len(self.photos) and torch.rand(1, generator=generator) < self.recipe.photo_share:
                samples = self.photos
            index = int(torch.randint(len(samples), (1,), generator=generator))
            image, labels = samples[index]
            params = draw_augmentation(self.recipe.augmentation, generator)
            center = _draw_center(labels, self.recipe, generator)
            crops.append(
                apply_augmentation(image.float() / 255, labels, params, center=center, size=size)
            )
        images, targets = zip(*crops, strict=True)
        return torch.stack(images), torch.stack(targets)

    def losses(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Return ``foreground_loss`` of the network's logits."""
        images, targets = batch
        logits = self.network(images.contiguous(memory_format=torch.channels_last))
        return {"segmentation": foreground_loss(logits, targets)}


def _draw_center(
    labels: Tensor, recipe: ForegroundRecipe, generator: Generator
) -> tuple[float, float]:
    u = torch.rand(3, generator=generator).tolist()
    height, width = labels.shape
    inside = (labels == 1).nonzero()
    if u[0] < recipe.on_object and len(inside):
        y, x = inside[int(u[1] * len(inside))].tolist()
        return x + 0.5, y + 0.5
    return u[1] * width, u[2] * height
