"""How the head of ``MaskLocalizer`` is trained, for ``vostrack.training.loop``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import torch
from scipy.ndimage import find_objects
from torch import Generator, Tensor

from vostrack.arrays import FloatArray, IntArray, UInt8Array
from vostrack.checks import (
    demand_at_least,
    demand_finite,
    demand_positive,
    demand_share,
    demand_some,
)
from vostrack.datasets.label_maps import LabelMapSource
from vostrack.errors import InputError
from vostrack.masks.palette import VOID
from vostrack.models.localizer import LocalizerHead, component_boxes
from vostrack.proposers.displacement.networks import DisplacementNet
from vostrack.proposers.displacement.scenes import Scene, SceneConfig, draw_scene
from vostrack.proposers.hough_voting.bootstrapping import Bootstrapping, localization_loss
from vostrack.proposers.hough_voting.boxes import cell_centres, encode_boxes
from vostrack.proposers.hough_voting.mask_localizer import label_map_features

__all__ = ["MaskItem", "MaskRecipe", "MaskTraining", "draw_items"]


_STRIDE = LocalizerHead.stride
# Fewer cells of a class say little about its shape.
_FEWEST = 4


@dataclass(frozen=True)
class MaskRecipe:
    """How.

    Attributes:
        batch: masks per step.
        learning_rate: at the peak.
        several: share of the masks that are redrawn where they hold a single object: with one, the
            connected component mostly is the answer.
        bootstrapping: which cells are learnt from; None for all.
        size_exponent: of the weights by size, 0 for none.
        scenes: the label maps; the objects must be known apart.
    """

    batch: int = 16
    learning_rate: float = 2e-3
    several: float = 0.7
    bootstrapping: Bootstrapping | None = field(default_factory=lambda: Bootstrapping(256))
    size_exponent: float = 0.5
    scenes: SceneConfig = field(default_factory=SceneConfig)

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: one is out of its range, or the scenes do not tell objects apart.
        """
        demand_at_least(self, {"batch": 1, "size_exponent": 0})
        demand_positive(self, "learning_rate")
        demand_finite(self, "learning_rate", "size_exponent")
        demand_share(self, "several")
        if not self.scenes.objects:
            raise InputError("scenes: boxes need objects that are told apart; set objects=True")


@dataclass(frozen=True)
class MaskItem:
    """A scene as the head learns from it.

    Attributes:
        labels: (H, W) uint8 label map, what the backbone sees.
        ids: (h, w) object under the centre of each cell; 0 none, below 0 unknown.
        boxes: (4, h, w) x0, y0, x1, y1 of that object in pixels; 0 where there is none.
        classes: the classes with objects, and how many each has.
    """

    labels: UInt8Array
    ids: IntArray
    boxes: FloatArray
    classes: tuple[tuple[int, int], ...]


def draw_items(
    sources: Sequence[LabelMapSource],
    scenes: SceneConfig,
    count: int,
    *,
    seed: int = 0,
    on_item: Callable[[int], None] | None = None,
) -> list[MaskItem]:
    """Draw scenes that hold an object.

    Args:
        sources: collections of label maps.
        scenes: how.
        count: so many.
        seed: of what is drawn.
        on_item: called with the number of scenes done.

    Raises:
        InputError: there are no label maps, or there is hardly an object in them.
    """
    demand_some(sources, "collection of label maps")
    chance = np.random.default_rng(seed)
    items: list[MaskItem] = []
    for tried in range(20 * count):
        item = _item(draw_scene(sources, scenes, chance))
        if item.classes:
            items.append(item)
            if on_item is not None:
                on_item(len(items))
        if len(items) == count:
            return items
        if tried >= 100 and not items:
            break
    raise InputError(
        f"masks: {len(items)} of {tried + 1} scenes hold an object of {_FEWEST} cells or more; "
        "expected label maps with objects (0 background, 255 void)"
    )


def _item(scene: Scene) -> MaskItem:
    middle = _STRIDE // 2
    ids = np.ascontiguousarray(scene.truth[middle::_STRIDE, middle::_STRIDE])
    cells = scene.labels[middle::_STRIDE, middle::_STRIDE]
    numbers, places = np.unique(np.maximum(scene.truth, 0), return_inverse=True)
    compact = places.reshape(scene.truth.shape)
    boxes = np.zeros((len(numbers), 4), np.float32)
    for index, (y, x) in enumerate(find_objects(compact.astype(np.int32)), start=1):
        boxes[index] = x.start, y.start, x.stop, y.stop
    per_cell = boxes[compact[middle::_STRIDE, middle::_STRIDE]].transpose(2, 0, 1)
    known = (ids > 0) & (cells > 0) & (cells < VOID)
    classes = tuple(
        (int(label), len(np.unique(ids[known & (cells == label)])))
        for label in np.unique(cells[known])
        if (known & (cells == label)).sum() >= _FEWEST
    )
    return MaskItem(scene.labels, ids, np.ascontiguousarray(per_cell), classes)


class MaskTraining:
    """Smooth L1 of the boxes inside the mask of one class of a scene.

    Implements ``vostrack.training.loop.Recipe``.

    Args:
        head: what is trained.
        network: for label maps, on the head's device; its backbone stays as it is.
        items: the scenes.
        options: how.
    """

    def __init__(
        self,
        head: LocalizerHead,
        network: DisplacementNet,
        items: Sequence[MaskItem],
        options: MaskRecipe | None = None,
    ) -> None:
        demand_some(items, "scene")
        self.head = head
        self.network = network.eval()
        self.items = items
        self.options = options or MaskRecipe()

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return one group: all of the head."""
        return [{"params": list(self.head.parameters()), "lr": self.options.learning_rate}]

    def draw(self, generator: Generator, step: int) -> dict[str, Tensor]:
        """Draw a batch."""
        seed = int(torch.randint(2**31 - 1, (), generator=generator))
        rng = np.random.default_rng(seed)
        parts = [self._example(rng) for _ in range(self.options.batch)]
        names = ("labels", "mask", "components", "boxes", "valid")
        batch = dict(zip(names, (torch.stack(p) for p in zip(*parts, strict=True)), strict=True))
        height, width = self.items[0].ids.shape
        return {**batch, "centres": cell_centres(height, width, _STRIDE)}

    def _example(self, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Draw label map (H, W), mask, boxes of its components, boxes, and where those count."""
        item, label = self._choose(rng)
        height, width = item.ids.shape
        inside = (item.labels == label).astype(np.float32)
        mask = cv2.resize(inside, (width, height), interpolation=cv2.INTER_AREA)
        middle = _STRIDE // 2
        valid = (item.labels[middle::_STRIDE, middle::_STRIDE] == label) & (item.ids > 0)
        rough = torch.from_numpy(component_boxes(np.asarray(mask, np.float32), _STRIDE))
        return (
            torch.from_numpy(item.labels),
            torch.from_numpy(np.asarray(mask, np.float32)),
            encode_boxes(rough, cell_centres(height, width, _STRIDE)),
            torch.from_numpy(item.boxes),
            torch.from_numpy(valid),
        )

    def _choose(self, rng: np.random.Generator) -> tuple[MaskItem, int]:
        for _ in range(100):
            item = self.items[int(rng.integers(len(self.items)))]
            label, objects = item.classes[int(rng.integers(len(item.classes)))]
            if objects > 1 or rng.random() >= self.options.several:
                break
        return item, label

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the localisation loss."""
        fine, coarse = label_map_features(self.network, batch["labels"])
        loss = localization_loss(
            self.head(fine, coarse, batch["mask"], batch["components"]),
            batch["boxes"],
            batch["valid"],
            batch["centres"],
            rule=self.options.bootstrapping,
            size_exponent=self.options.size_exponent,
        )
        return {"localization": loss}
