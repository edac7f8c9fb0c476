"""How the light localisation head is trained, for ``vostrack.training.loop``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import torch
from torch import Generator, Tensor

from vostrack.arrays import FloatArray
from vostrack.checks import demand_at_least, demand_finite, demand_positive
from vostrack.masks.palette import VOID
from vostrack.models.localizer import LocalizerHead, component_boxes
from vostrack.proposers.hough_voting.bootstrapping import Bootstrapping, localization_loss
from vostrack.proposers.hough_voting.boxes import cell_centres, encode_boxes
from vostrack.proposers.hough_voting.feature_pool import FeaturePool

__all__ = ["HeadRecipe", "HeadTraining", "disturb_mask"]


@dataclass(frozen=True)
class HeadRecipe:
    """How.

    Attributes:
        batch: pictures per step.
        learning_rate: at the peak.
        bootstrapping: which cells are learnt from; None for all.
        size_exponent: of the weights by size, 0 for none.
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
        demand_at_least(self, {"batch": 1})
        demand_positive(self, "learning_rate")
        demand_finite(self, "learning_rate", "size_exponent")


class HeadTraining:
    """Smooth L1 of the boxes inside the mask of some of a picture's instances.

    Implements ``vostrack.training.loop.Recipe``. Which instances the mask holds is drawn anew each
    time, so that the head follows the mask it is given: that of one class, or of the foreground.

    Args:
        head: what is trained.
        pool: the pictures.
        options: how.
    """

    def __init__(
        self, head: LocalizerHead, pool: FeaturePool, options: HeadRecipe | None = None
    ) -> None:
        self.head = head
        self.pool = pool
        self.options = options or HeadRecipe()

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return one group: all of the head."""
        return [{"params": list(self.head.parameters()), "lr": self.options.learning_rate}]

    def draw(self, generator: Generator, step: int) -> dict[str, Tensor]:
        """Draw a batch."""
        seed = int(torch.randint(2**31 - 1, (), generator=generator))
        rng = np.random.default_rng(seed)
        chosen = [int(k) for k in rng.integers(len(self.pool), size=self.options.batch)]
        height, width = self.pool.ids.shape[1:]
        centres = cell_centres(height, width, self.head.stride)
        parts = [self._item(k, centres, rng) for k in chosen]
        mask, components, boxes, valid = (torch.stack(p) for p in zip(*parts, strict=True))
        return {
            "fine": self.pool.fine[chosen].float(),
            "coarse": self.pool.coarse[chosen].float(),
            "mask": mask,
            "components": components,
            "boxes": boxes,
            "valid": valid,
            "centres": centres,
        }

    def _item(
        self, index: int, centres: Tensor, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        ids = self.pool.ids[index].long()
        present = [int(k) for k in np.unique(ids.numpy()) if k not in (0, VOID)]
        if len(present) > 1 and rng.random() < 0.5:
            present = list(rng.permutation(present)[: rng.integers(1, len(present))])
        valid = torch.isin(ids, torch.tensor(present, dtype=torch.long))
        mask = disturb_mask(valid.numpy().astype(np.float32), rng)
        rough = torch.from_numpy(component_boxes(mask, self.head.stride))
        boxes = self.pool.boxes[index][ids.where(valid, 0)].permute(2, 0, 1)
        return torch.from_numpy(mask), encode_boxes(rough, centres), boxes, valid

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the localisation loss."""
        transforms = self.head(batch["fine"], batch["coarse"], batch["mask"], batch["components"])
        loss = localization_loss(
            transforms,
            batch["boxes"],
            batch["valid"],
            batch["centres"],
            rule=self.options.bootstrapping,
            size_exponent=self.options.size_exponent,
        )
        return {"localization": loss}


def disturb_mask(mask: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Make the mask of a semantic network out of a true one: too thin, too fat, soft, patchy.

    Args:
        mask: (h, w) of 0 and 1, by cells.
        rng: the only source of chance.

    Returns:
        (h, w) in [0, 1].
    """
    kernel = np.ones((3, 3), np.uint8)
    kind = rng.random()
    if kind < 0.2:
        mask = cv2.erode(mask, kernel).astype(np.float32)
    elif kind < 0.4:
        mask = cv2.dilate(mask, kernel).astype(np.float32)
    mask = mask.copy()
    for value, chance in ((0.0, 0.2), (1.0, 0.15)):
        if rng.random() < chance:
            height, width = (int(v) for v in rng.integers(2, 9, 2))
            row, column = (int(rng.integers(max(s - 2, 1))) for s in mask.shape)
            mask[row : row + height, column : column + width] = value
    softness = float(rng.uniform(0, 1))
    if softness > 0.3:
        mask = cv2.GaussianBlur(mask, (0, 0), softness).astype(np.float32)
    return np.asarray(mask * rng.uniform(0.75, 1.0), dtype=np.float32)
