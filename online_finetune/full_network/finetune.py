"""Fine-tune a whole network on augmentations of one frame (Cheng et al. 2017, section 3.3)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Generator, Tensor

from vostrack.compute.precision import Precision, autocast
from vostrack.datasets.augmentation import (
    IGNORE,
    AugmentationConfig,
    apply_augmentation,
    draw_augmentation,
)
from vostrack.errors import InputError
from vostrack.models.foreground import SegmentationNet
from vostrack.online_finetune.full_network.loss import balanced_cross_entropy

__all__ = ["PAPER_RATE", "FinetuneConfig", "finetune", "learning_rate_factor"]

# The paper sums the loss over pixels and steps by 1e-8 at batch 1; its released solver reaches the
# same effective step as 1e-10 / (1 - 0.99). Our loss is the mean, so the rate is multiplied by the
# pixels of a 480 x 854 frame, and the weight decay divided by them.
_DAVIS_PIXELS = 480 * 854
PAPER_RATE = 1e-10 * _DAVIS_PIXELS
PAPER_DECAY = 5e-4 / _DAVIS_PIXELS

# A draw can shift a small object out of the frame; such a sample teaches nothing.
_DRAWS = 20

OnStep = Callable[[int, float], None]


@dataclass(frozen=True)
class FinetuneConfig:
    """How a network is fitted to one frame; the defaults are the paper's, for a mean loss.

    Attributes:
        steps: optimisation steps, one sample each.
        optimizer: ``sgd`` with momentum, or ``adamw``.
        learning_rate: of the backbone, at the start.
        head_learning_rate: of the head, at the start.
        momentum: of SGD.
        weight_decay: coefficient of the squared norm.
        schedule: ``halve`` halves the rate every ``halve_every`` steps; ``cosine`` takes it to 0.
        halve_every: steps between halvings.
        share_limits: see ``balanced_cross_entropy``.
        original_every: every so many steps the sample is the frame itself; 0 for chance alone.
        augmentation: what the other samples are.
    """

    steps: int = 30_000
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = PAPER_RATE
    head_learning_rate: float = PAPER_RATE
    momentum: float = 0.99
    weight_decay: float = PAPER_DECAY
    schedule: Literal["halve", "cosine"] = "halve"
    halve_every: int = 10_000
    share_limits: tuple[float, float] = (0.0, 1.0)
    original_every: int = 0
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: an unknown optimizer or schedule, or a negative number of steps.
        """
        if self.optimizer not in ("sgd", "adamw"):
            raise InputError(f"optimizer: expected sgd or adamw, got {self.optimizer!r}")
        if self.schedule not in ("halve", "cosine"):
            raise InputError(f"schedule: expected halve or cosine, got {self.schedule!r}")
        if self.steps < 0:
            raise InputError(f"steps: expected 0 or more, got {self.steps}")


def learning_rate_factor(config: FinetuneConfig, step: int) -> float:
    """Return what the starting rate is multiplied by at ``step`` (from 0), in [0, 1]."""
    if config.schedule == "halve":
        return float(0.5 ** (step // config.halve_every))
    return 0.5 * (1 + math.cos(math.pi * step / max(config.steps, 1)))


def finetune(
    network: SegmentationNet,
    image: Tensor,
    target: Tensor,
    config: FinetuneConfig,
    generator: Generator,
    *,
    precision: Precision = "auto",
    on_step: OnStep | None = None,
) -> None:
    """Fit ``network`` to one frame, in place. Zero steps change nothing.

    Args:
        network: K outputs; left in evaluation mode, on its device.
        image: (3, H, W) in [0, 1], on the network's device.
        target: (H, W) int64 in 0..K-1, 255 where the pixel does not count.
        config: the recipe.
        generator: a CPU generator, the only source of chance.
        precision: see ``vostrack.compute.precision``.
        on_step: called after every step with the steps done and the loss.
    """
    optimizer = _optimizer(network, config)
    network.eval()
    for step in range(config.steps):
        factor = learning_rate_factor(config, step)
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        sample, labels = _draw_sample(image, target, config, generator, step)
        with autocast(image.device, precision):
            logits = network(sample[None].contiguous(memory_format=torch.channels_last))
        loss = balanced_cross_entropy(logits, labels[None], share_limits=config.share_limits)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if on_step is not None:
            on_step(step + 1, loss.item())
    optimizer.zero_grad(set_to_none=True)


def _draw_sample(
    image: Tensor, target: Tensor, config: FinetuneConfig, generator: Generator, step: int
) -> tuple[Tensor, Tensor]:
    if config.original_every and step % config.original_every == 0:
        return image, target
    for _ in range(_DRAWS):
        sample, labels = apply_augmentation(
            image, target, draw_augmentation(config.augmentation, generator)
        )
        if ((labels > 0) & (labels != IGNORE)).any():
            return sample, labels
    return image, target


def _optimizer(network: SegmentationNet, config: FinetuneConfig) -> torch.optim.Optimizer:
    groups = [
        {"params": list(network.backbone.parameters()), "lr": config.learning_rate},
        {"params": list(network.head.parameters()), "lr": config.head_learning_rate},
    ]
    for group in groups:
        group["initial_lr"] = group["lr"]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=config.momentum, weight_decay=config.weight_decay)
    return torch.optim.AdamW(groups, weight_decay=config.weight_decay)
