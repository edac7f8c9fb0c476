"""Train the generic foreground model (Cheng et al. 2017, section 3.3, first step)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from vostrack.checks import (
    demand_at_least,
    demand_finite,
    demand_positive,
    demand_share,
    demand_some,
)
from vostrack.compute.precision import Precision
from vostrack.datasets.augmentation import (
    IGNORE,
    AugmentationConfig,
    apply_augmentation,
    draw_augmentation,
)
from vostrack.models.foreground import SegmentationNet
from vostrack.training.loop import LoopConfig, OnStep, train

__all__ = ["ForegroundRecipe", "Sample", "foreground_loss", "train_foreground"]

# One training picture: image (3, H, W) uint8, labels (H, W) int64 with 0, 1 and 255.
Sample = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class ForegroundRecipe:
    """How the generic foreground model is trained.

    Attributes:
        steps: optimisation steps.
        batch: crops per step.
        crop: side of the square crops, pixels.
        on_object: share of the crops that are centred on an object pixel.
        learning_rate: of the backbone, at the peak.
        head_learning_rate: of the head, at the peak.
        weight_decay: of AdamW.
        warmup: steps of linear warm-up.
        seed: of every random choice.
        checkpoint_every: steps between checkpoints.
        augmentation: what a crop may go through. Few distinct sequences make strong variation
            worth more than more steps.
    """

    steps: int = 3000
    batch: int = 6
    crop: int = 320
    on_object: float = 0.7
    learning_rate: float = 1e-4
    head_learning_rate: float = 6e-4
    weight_decay: float = 1e-2
    warmup: int = 50
    seed: int = 0
    checkpoint_every: int = 200
    augmentation: AugmentationConfig = field(
        default_factory=lambda: AugmentationConfig(
            scale=(0.6, 1.7),
            rotation=15,
            shift=0.3,
            flip=0.5,
            brightness=0.3,
            contrast=0.3,
            saturation=0.4,
            identity=0.0,
        )
    )

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: a value out of its range.
        """
        demand_at_least(self, {"batch": 1, "crop": 32})
        demand_share(self, "on_object")
        demand_positive(self, "learning_rate", "head_learning_rate")
        demand_finite(self, "learning_rate", "head_learning_rate")
        self.loop()

    def loop(self, *, precision: Precision = "auto", tensorboard: bool = False) -> LoopConfig:
        """Return the settings of the loop.

        Args:
            precision: see ``vostrack.compute.precision``.
            tensorboard: write curves for TensorBoard, too.
        """
        return LoopConfig(
            steps=self.steps,
            weight_decay=self.weight_decay,
            warmup=self.warmup,
            seed=self.seed,
            checkpoint_every=self.checkpoint_every,
            precision=precision,
            tensorboard=tensorboard,
        )


def foreground_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy plus soft Dice of the foreground, each over the labelled pixels.

    Args:
        logits: (B, 2, H, W).
        target: (B, H, W) int64 in 0, 1, or 255 where the pixel does not count.

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


def train_foreground(
    network: SegmentationNet,
    samples: Sequence[Sample],
    recipe: ForegroundRecipe,
    folder: Path,
    *,
    stop_after: int | None = None,
    precision: Precision = "auto",
    tensorboard: bool = False,
    on_step: OnStep | None = None,
) -> int:
    """Train ``network`` in place; continue from ``folder`` where a checkpoint lies there.

    Args:
        network: two outputs, on its device.
        samples: the pictures.
        recipe: how.
        folder: keeps ``checkpoint.pt`` and ``log.jsonl``; see ``vostrack.training.loop.train``.
        stop_after: stop, with a checkpoint, after so many steps of this call.
        precision: see ``vostrack.compute.precision``.
        tensorboard: write curves for TensorBoard, too.
        on_step: called after every step with the steps done and the loss.

    Returns:
        The steps done in all; ``recipe.steps`` when the training is complete.

    Raises:
        InputError: no samples, or the checkpoint is of another recipe.
    """
    demand_some(samples, "picture")
    options = asdict(recipe)
    del options["checkpoint_every"]
    return train(
        network,
        _ForegroundTraining(network, samples, recipe),
        recipe.loop(precision=precision, tensorboard=tensorboard),
        folder,
        settings=options,
        stop_after=stop_after,
        on_step=on_step,
    )


@dataclass(frozen=True)
class _ForegroundTraining:
    """The recipe as the loop wants it."""

    network: SegmentationNet
    samples: Sequence[Sample]
    recipe: ForegroundRecipe

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [
            {"params": self.network.backbone.parameters(), "lr": self.recipe.learning_rate},
            {"params": self.network.head.parameters(), "lr": self.recipe.head_learning_rate},
        ]

    def draw(self, generator: Generator, step: int) -> tuple[Tensor, Tensor]:
        size = (self.recipe.crop, self.recipe.crop)
        crops = []
        for _ in range(self.recipe.batch):
            index = int(torch.randint(len(self.samples), (1,), generator=generator))
            image, labels = self.samples[index]
            params = draw_augmentation(self.recipe.augmentation, generator)
            center = _draw_center(labels, self.recipe, generator)
            crops.append(
                apply_augmentation(image.float() / 255, labels, params, center=center, size=size)
            )
        images, targets = zip(*crops, strict=True)
        return torch.stack(images), torch.stack(targets)

    def losses(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
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
