"""How the light localisation head on the features of an image is trained."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from vostrack.arrays import FloatArray
from vostrack.masks.palette import VOID
from vostrack.models.localizer import LocalizerHead, component_boxes
from vostrack.proposers.hough_voting.box_recipe import BoxRecipe, LocalizerTraining
from vostrack.proposers.hough_voting.boxes import cell_centres, encode_boxes
from vostrack.proposers.hough_voting.feature_pool import FeaturePool

__all__ = ["HeadRecipe", "HeadTraining", "disturb_mask"]


@dataclass(frozen=True)
class HeadRecipe(BoxRecipe):
    """How the head on the features of an image is trained; see ``BoxRecipe``."""


class HeadTraining(LocalizerTraining):
    """Smooth L1 of the boxes inside the mask of some instances of a scene.

    The instances in the mask are drawn anew each time, so that the head follows the mask that it is
    given: that of one class, or of the foreground.

    Args:
        head: what is trained.
        pool: the scenes.
        recipe: how.
    """

    def __init__(
        self, head: LocalizerHead, pool: FeaturePool, recipe: HeadRecipe | None = None
    ) -> None:
        self.recipe = recipe or HeadRecipe()
        super().__init__(head, self.recipe)
        self.pool = pool

    def draw_batch(self, rng: np.random.Generator) -> dict[str, Tensor]:
        """Draw scenes and, for each, a mask of some of its instances."""
        chosen = [int(k) for k in rng.integers(len(self.pool), size=self.recipe.batch)]
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

    def predict(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the transforms (B, 4, h, w) that the head predicts for a batch."""
        transforms: Tensor = self.head(
            batch["fine"], batch["coarse"], batch["mask"], batch["components"]
        )
        return transforms


def disturb_mask(mask: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Disturb a true mask so that it looks like one of a semantic network.

    It becomes too thin or too fat, soft, and patchy.

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
