"""What the trainings of all box predictors share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from vostrack.checks import check_at_least, check_finite, check_positive
from vostrack.models.localizer import LocalizerHead
from vostrack.proposers.hough_voting.bootstrapping import Bootstrapping, localization_loss

__all__ = ["BoxRecipe", "LocalizerTraining"]


@dataclass(frozen=True)
class BoxRecipe:
    """How a network that predicts boxes is trained, apart from the loop.

    Attributes:
        batch: examples per step and process.
        learning_rate: at the peak.
        bootstrapping: selects the cells that count in the loss; None for all.
        size_exponent: of the weights by size, at least 0; 0 for none.
    """

    batch: int = 8
    learning_rate: float = 2e-3
    bootstrapping: Bootstrapping | None = field(default_factory=lambda: Bootstrapping(256))
    size_exponent: float = 0.5

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: one is out of its range.
        """
        check_positive(self, "learning_rate")
        check_finite(self, "learning_rate", "size_exponent")
        check_at_least(self, {"batch": 1, "size_exponent": 0})

    def loss(
        self, transforms: Tensor, boxes: Tensor, valid: Tensor, centres: Tensor
    ) -> dict[str, Tensor]:
        """Return ``localization_loss`` with the recipe's bootstrapping and weights, by name.

        Args:
            transforms: (B, 4, h, w) predictions.
            boxes: (B, 4, h, w) true boxes x0, y0, x1, y1, pixels.
            valid: (B, h, w) bool, where these count.
            centres: of the cells, pixels; see ``cell_centres``.
        """
        loss = localization_loss(
            transforms,
            boxes,
            valid,
            centres,
            rule=self.bootstrapping,
            size_exponent=self.size_exponent,
        )
        return {"localization": loss}


class LocalizerTraining(ABC):
    """Trains a light localisation head; ``vostrack.training.loop.train`` follows it.

    Args:
        head: what is trained.
        recipe: how.
    """

    def __init__(self, head: LocalizerHead, recipe: BoxRecipe) -> None:
        self.head = head
        self._box_recipe = recipe

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return one group: all of the head."""
        return [{"params": list(self.head.parameters()), "lr": self._box_recipe.learning_rate}]

    def draw(self, generator: Generator, step: int) -> dict[str, Tensor]:
        """Draw a batch: the inputs of ``predict``, ``boxes``, ``valid`` and ``centres``."""
        seed = int(torch.randint(2**31 - 1, (), generator=generator))
        return self.draw_batch(np.random.default_rng(seed))

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the localisation loss."""
        return self._box_recipe.loss(
            self.predict(batch), batch["boxes"], batch["valid"], batch["centres"]
        )

    @abstractmethod
    def draw_batch(self, rng: np.random.Generator) -> dict[str, Tensor]:
        """Draw a batch; ``rng`` is the only source of chance."""

    @abstractmethod
    def predict(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the transforms (B, 4, h, w) that the head predicts for a batch."""
