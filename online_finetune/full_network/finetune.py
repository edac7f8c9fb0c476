"""Fine-tuning a whole network on augmentations of one frame (Cheng et al. 2017, section 3.3)."""

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
from vostrack.models.normalization import train_folded_biases
from vostrack.online_finetune.full_network.loss import balanced_cross_entropy
from vostrack.online_finetune.optimizers import SGD, AdamW

__all__ = ["PAPER_RATE", "FinetuneConfig", "finetune", "learning_rate_factor"]

# The paper sums the loss over all pixels and uses a learning rate of 1e-8 at batch size 1. Its
# released solver has the same effective step, 1e-10 / (1 - 0.99). Our loss is the mean, so the rate
# is multiplied by the number of pixels of a 480 x 854 frame and the weight decay is divided by it.
_DAVIS_PIXELS = 480 * 854
PAPER_RATE = 1e-10 * _DAVIS_PIXELS
PAPER_DECAY = 5e-4 / _DAVIS_PIXELS

# An augmentation may shift a small object out of the frame. Such a sample is drawn again.
_DRAWS = 20

OnStep = Callable[[int, float], None]


@dataclass(frozen=True)
class FinetuneConfig:
    """How a network is fine-tuned on one frame. The defaults are the paper's, for a mean loss.

    Attributes:
        steps: optimization steps, with one sample each; at least 0.
        optimizer: ``sgd`` (with momentum) or ``adamw``.
        learning_rate: initial learning rate of the backbone; 0 leaves it as it is, which takes a
            third of the time.
        head_learning_rate: initial learning rate of the head.
        momentum: momentum of SGD.
        weight_decay: weight decay.
        schedule: ``halve`` halves the rate every ``halve_every`` steps; ``cosine`` anneals it to 0.
        halve_every: steps between two halvings.
        share_limits: limits of the class frequencies; see ``balanced_cross_entropy``.
        original_every: the original frame is the sample of every ``original_every``-th step; 0 for
            never.
        folded_biases: whether the biases that came from folded batch normalization are trained too.
            Training leaves them as they are by default: all published figures were measured so.
        augmentation: augmentation of the other samples.
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
    folded_biases: bool = False
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
    """Return the factor of the initial learning rate at ``step`` (from 0), in [0, 1]."""
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
    """Fine-tune ``network`` on one frame, in place. With zero steps it is unchanged.

    Args:
        network: network with K outputs. It is left in evaluation mode, on its device.
        image: (3, H, W) in [0, 1], on the network's device.
        target: (H, W) int64 in 0..K-1, or 255 for pixels to ignore.
        config: how to fine-tune.
        generator: a CPU generator, the only source of randomness.
        precision: see ``vostrack.compute.precision``.
        on_step: called after every step with the number of steps done and the loss.
    """
    if config.folded_biases:
        train_folded_biases(network)
    optimizer = _optimizer(network, config)
    network.eval().zero_grad()
    backbone_learns = bool(config.learning_rate)
    for step in range(config.steps):
        sample, labels = _draw_sample(image, target, config, generator, step)
        with autocast(image.device, precision):
            with torch.set_grad_enabled(backbone_learns):
                features = network.features(
                    sample[None].contiguous(memory_format=torch.channels_last)
                )
            logits = network.decode(features, sample.shape[-2:])
        loss = balanced_cross_entropy(logits, labels[None], share_limits=config.share_limits)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step(learning_rate_factor(config, step))
        if on_step is not None:
            on_step(step + 1, loss.item())


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


def _optimizer(network: SegmentationNet, config: FinetuneConfig) -> AdamW | SGD:
    groups = (
        (network.backbone.parameters(), config.learning_rate),
        (network.head.parameters(), config.head_learning_rate),
    )
    if config.optimizer == "sgd":
        return SGD(groups, config.momentum, config.weight_decay)
    return AdamW(groups, config.weight_decay)
