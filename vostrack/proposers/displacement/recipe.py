"""How the network is trained: batches, losses and rates (eq. 19); and the mean shift afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from vostrack.checks import check_at_least, check_finite, check_not_empty, check_positive
from vostrack.datasets.label_maps import LabelMapSource
from vostrack.errors import InputError
from vostrack.proposers.displacement.losses import (
    boundary_loss,
    centre_loss,
    displacement_losses,
)
from vostrack.proposers.displacement.networks import DisplacementNet
from vostrack.proposers.displacement.pairs import half_disc_offsets
from vostrack.proposers.displacement.scenes import SceneConfig, draw_scene
from vostrack.training.loop import LoopConfig, step_generator

__all__ = ["SisegRecipe", "SisegTraining", "estimate_mean_shift", "loop_for"]


@dataclass(frozen=True)
class SisegRecipe:
    """How the network is trained, apart from the loop.

    Attributes:
        batch: scenes per step and process.
        learning_rate: at the peak; None for the backbone's default: 2e-3 for the light one under
            AdamW, the paper's 0.05 for a ResNet under SGD, tenfold for the displacement head.
        radius: pairs are closer than this, in cells (the paper: 10).
        offsets: number of the pairs' offsets that are drawn for each step; None takes all, as the
            paper does. The expected loss is the same.
        centre: weight of the error to the centres of regions (eq. 7); for scenes whose regions
            are objects.
        scenes: how label maps become scenes.
    """

    batch: int = 8
    learning_rate: float | None = None
    radius: float = 10.0
    offsets: int | None = 16
    centre: float = 1.0
    scenes: SceneConfig = field(default_factory=SceneConfig)

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: one is out of its range.
        """
        check_at_least(self, {"batch": 1, "centre": 0})
        if self.offsets is not None and self.offsets < 1:
            raise InputError(f"offsets: expected at least 1, or None for all, got {self.offsets}")
        check_positive(self, "learning_rate")
        check_finite(self, "learning_rate", "centre")
        known = len(half_disc_offsets(self.radius))
        if self.offsets is not None and self.offsets > known:
            raise InputError(
                f"offsets: expected at most {known}, which are all there are within "
                f"{self.radius:g} cells, got {self.offsets}"
            )


class SisegTraining:
    """Draws scenes and computes the losses; ``vostrack.training.loop.train`` follows it.

    Args:
        network: what is trained.
        sources: collections of label maps, drawn from equally often; name one twice to draw from
            it more often.
        recipe: how the network is trained.

    Raises:
        InputError: there are no label maps.
    """

    def __init__(
        self,
        network: DisplacementNet,
        sources: Sequence[LabelMapSource],
        recipe: SisegRecipe | None = None,
    ) -> None:
        check_not_empty(sources, "collection of label maps")
        self.network = network
        self.sources = tuple(sources)
        self.recipe = recipe or SisegRecipe()

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the heads, and the backbone unless it is frozen, with their peak rates."""
        network = self.network
        rate = self.recipe.learning_rate or (0.05 if network.frozen else 2e-3)
        heads = rate * 10 if network.frozen else rate
        groups: list[dict[str, Any]] = [
            {"params": list(network.boundary.parameters()), "lr": rate},
            {"params": list(network.displacement.parameters()), "lr": heads},
        ]
        if not network.frozen:
            groups.append({"params": list(network.backbone.parameters()), "lr": rate})
        return groups

    def draw(self, generator: Generator, step: int) -> dict[str, Tensor]:
        """Draw a batch: label maps, regions, and the offsets of this step."""
        seed = int(torch.randint(2**62, (), generator=generator))
        chance = np.random.default_rng(seed)
        recipe = self.recipe
        scenes = [draw_scene(self.sources, recipe.scenes, chance) for _ in range(recipe.batch)]
        known = len(half_disc_offsets(recipe.radius))
        chosen = np.sort(chance.permutation(known)[: recipe.offsets])
        return {
            "labels": torch.from_numpy(np.stack([scene.labels for scene in scenes])),
            "regions": torch.from_numpy(np.stack([scene.regions for scene in scenes])),
            "offsets": torch.from_numpy(chosen),
        }

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the three terms of eq. 19, and the error to known centres."""
        known = half_disc_offsets(self.recipe.radius)
        offsets = [known[index] for index in batch["offsets"].tolist()]
        field, boundary = self.network(batch["labels"])
        foreground, background = displacement_losses(field, batch["regions"], offsets)
        terms = {
            "foreground": foreground,
            "background": background,
            "boundary": boundary_loss(boundary, batch["regions"], offsets),
        }
        if self.recipe.centre:
            terms["centre"] = self.recipe.centre * centre_loss(field, batch["regions"])
        return terms


def loop_for(network: DisplacementNet, steps: int, **changes: Any) -> LoopConfig:
    """Return the loop that suits the backbone.

    Args:
        network: a frozen ResNet gets SGD with momentum 0.9 and polynomial rates, as in the paper,
            the light backbone AdamW and cosine rates.
        steps: optimisation steps.
        changes: other fields of ``LoopConfig``.
    """
    if network.frozen:
        changes = {"optimizer": "sgd", "schedule": "poly", "weight_decay": 1e-4, **changes}
    return LoopConfig(steps=steps, warmup=min(100, steps // 10), **changes)


@torch.no_grad()
def estimate_mean_shift(training: SisegTraining, *, batches: int = 20, seed: int = 0) -> Tensor:
    """Measure the mean displacement of objects, and store it in the network.

    The losses depend on differences of displacements, so the field has a free constant.
    Displacements to the centre of an object sum to zero over it. So their mean over many objects is
    that constant.

    Args:
        training: of the trained network.
        batches: number of batches of scenes.
        seed: of the scenes.

    Returns:
        (2,) as dy, dx, in cells.
    """
    network = training.network
    network.eval()
    device = network.mean_shift.device
    total = torch.zeros(2, device=device)
    count = torch.zeros((), device=device)
    for index in range(batches):
        batch = training.draw(step_generator(seed, index, 0), index)
        displacement = network(batch["labels"].to(device)).field
        objects = (batch["regions"] > 0).to(device, displacement.dtype)
        total += (displacement * objects[:, None]).sum((0, 2, 3))
        count += objects.sum()
    network.mean_shift.copy_(total / count.clamp(min=1))
    return network.mean_shift
