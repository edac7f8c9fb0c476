"""Train the generic foreground model (Cheng et al. 2017, section 3.3, first step)."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from vostrack.datasets.augmentation import (
    IGNORE,
    AugmentationConfig,
    apply_augmentation,
    draw_augmentation,
)
from vostrack.errors import InputError
from vostrack.models.foreground import SegmentationNet
from vostrack.models.precision import Precision, autocast

__all__ = ["ForegroundRecipe", "Sample", "foreground_loss", "train_foreground"]

_log = logging.getLogger("vostrack.training")

# One training picture: image (3, H, W) uint8, labels (H, W) int64 with 0, 1 and 255.
Sample = tuple[Tensor, Tensor]
OnStep = Callable[[int, float], None]


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
    on_step: OnStep | None = None,
) -> int:
    """Train ``network`` in place; continue from ``folder`` where a checkpoint lies there.

    Args:
        network: two outputs, on its device.
        samples: the pictures.
        recipe: how.
        folder: keeps ``checkpoint.pt`` and ``log.jsonl``.
        stop_after: stop, with a checkpoint, after so many steps of this call.
        precision: see ``vostrack.models.precision``.
        on_step: called after every step with the steps done and the loss.

    Returns:
        The steps done in all; ``recipe.steps`` when the training is complete.

    Raises:
        InputError: no samples, or the checkpoint is of another recipe.
    """
    if not samples:
        raise InputError("training: expected at least one picture, got none")
    folder.mkdir(parents=True, exist_ok=True)
    optimizer = torch.optim.AdamW(
        [
            {"params": network.backbone.parameters(), "initial_lr": recipe.learning_rate},
            {"params": network.head.parameters(), "initial_lr": recipe.head_learning_rate},
        ],
        weight_decay=recipe.weight_decay,
    )
    first = _resume(network, optimizer, recipe, folder)
    last = recipe.steps if stop_after is None else min(recipe.steps, first + stop_after)
    device = next(network.parameters()).device
    network.train()
    for step in range(first, last):
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * _rate_factor(recipe, step)
        images, targets = _draw_batch(samples, recipe, step)
        with autocast(device, precision):
            logits = network(images.to(device).contiguous(memory_format=torch.channels_last))
        loss = foreground_loss(logits, targets.to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        with (folder / "log.jsonl").open("a") as log:
            log.write(json.dumps({"step": step + 1, "loss": round(loss.item(), 5)}) + "\n")
        if on_step is not None:
            on_step(step + 1, loss.item())
        if (step + 1) % recipe.checkpoint_every == 0 or step + 1 == last:
            _checkpoint(network, optimizer, recipe, folder, step + 1)
    network.eval()
    return max(first, last)


def _rate_factor(recipe: ForegroundRecipe, step: int) -> float:
    warm = min(1.0, (step + 1) / max(recipe.warmup, 1))
    return warm * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))


def _draw_batch(
    samples: Sequence[Sample], recipe: ForegroundRecipe, step: int
) -> tuple[Tensor, Tensor]:
    # Seeded by the step, so that a resumed training sees what an uninterrupted one would have.
    generator = Generator().manual_seed(recipe.seed * 1_000_003 + step)
    crops = []
    for _ in range(recipe.batch):
        index = int(torch.randint(len(samples), (1,), generator=generator))
        image, labels = samples[index]
        params = draw_augmentation(recipe.augmentation, generator)
        center = _draw_center(labels, recipe, generator)
        crops.append(
            apply_augmentation(
                image.float() / 255, labels, params, center=center, size=(recipe.crop, recipe.crop)
            )
        )
    images, targets = zip(*crops, strict=True)
    return torch.stack(images), torch.stack(targets)


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


def _checkpoint(
    network: SegmentationNet,
    optimizer: torch.optim.Optimizer,
    recipe: ForegroundRecipe,
    folder: Path,
    step: int,
) -> None:
    state: dict[str, Any] = {
        "step": step,
        "recipe": asdict(recipe),
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    partial = folder / ".checkpoint.pt.partial"
    torch.save(state, partial)
    partial.replace(folder / "checkpoint.pt")


def _resume(
    network: SegmentationNet,
    optimizer: torch.optim.Optimizer,
    recipe: ForegroundRecipe,
    folder: Path,
) -> int:
    path = folder / "checkpoint.pt"
    if not path.is_file():
        return 0
    device = next(network.parameters()).device
    state = torch.load(path, map_location=device, weights_only=True)
    if state["recipe"] != asdict(recipe):
        raise InputError(
            f"training: {path} was written by another recipe; train into another folder, or "
            "delete it to start again"
        )
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    _log.info("training goes on from step %d of %s", state["step"], path)
    return int(state["step"])
