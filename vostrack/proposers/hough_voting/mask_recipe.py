"""How the head of ``MaskLocalizer`` is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from scipy.ndimage import find_objects
from torch import Tensor

from vostrack.arrays import FloatArray, IntArray, UInt8Array
from vostrack.checks import check_fraction, check_not_empty
from vostrack.datasets.label_maps import LabelMapSource
from vostrack.errors import InputError
from vostrack.masks.palette import VOID
from vostrack.models.localizer import LocalizerHead, component_boxes
from vostrack.proposers.displacement.networks import DisplacementNet
from vostrack.proposers.displacement.scenes import Scene, SceneConfig, draw_scene
from vostrack.proposers.hough_voting.box_recipe import BoxRecipe, LocalizerTraining
from vostrack.proposers.hough_voting.boxes import cell_centres, encode_boxes
from vostrack.proposers.hough_voting.mask_localizer import label_map_features

__all__ = ["MaskItem", "MaskRecipe", "MaskTraining", "draw_items"]


_STRIDE = LocalizerHead.stride
# With fewer cells the shape of a class is hardly visible.
_FEWEST = 4


@dataclass(frozen=True)
class MaskRecipe(BoxRecipe):
    """How the head on the features of label maps is trained; see ``BoxRecipe``.

    Attributes:
        batch: masks per step and process.
        several: share of the masks with a single object that are drawn again: there the connected
            component usually is the answer already.
        scenes: how label maps become scenes; the scenes must tell objects apart.
    """

    batch: int = 16
    several: float = 0.7
    scenes: SceneConfig = field(default_factory=SceneConfig)

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: one is out of its range, or the scenes do not tell objects apart.
        """
        super().__post_init__()
        check_fraction(self, "several")
        if not self.scenes.objects:
            raise InputError("scenes: boxes need objects that are told apart; set `objects=True`")


@dataclass(frozen=True)
class MaskItem:
    """A scene, prepared for the training of the head.

    Attributes:
        labels: (H, W) uint8 label map, the input of the backbone.
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
    """Draw scenes that contain an object.

    Args:
        sources: collections of label maps.
        scenes: how they become scenes.
        count: number of scenes.
        seed: of the scenes.
        on_item: called with the number of scenes done.

    Raises:
        InputError: there are no label maps, or they contain hardly any object.
    """
    check_not_empty(sources, "collection of label maps")
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
        f"masks: {len(items)} of {tried + 1} scenes contain an object of {_FEWEST} cells or more; "
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


class MaskTraining(LocalizerTraining):
    """Smooth L1 of the boxes inside the mask of one class of a scene.

    Args:
        head: what is trained.
        network: for label maps, on the head's device; its backbone is frozen.
        items: the scenes.
        recipe: how.
    """

    def __init__(
        self,
        head: LocalizerHead,
        network: DisplacementNet,
        items: Sequence[MaskItem],
        recipe: MaskRecipe | None = None,
    ) -> None:
        check_not_empty(items, "scene")
        self.recipe = recipe or MaskRecipe()
        super().__init__(head, self.recipe)
        self.network = network.eval()
        self.items = items

    def draw_batch(self, rng: np.random.Generator) -> dict[str, Tensor]:
        """Draw scenes and one class of each."""
        parts = [self._example(rng) for _ in range(self.recipe.batch)]
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
            if objects > 1 or rng.random() >= self.recipe.several:
                break
        return item, label

    def predict(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the transforms (B, 4, h, w) that the head predicts for a batch."""
        fine, coarse = label_map_features(self.network, batch["labels"])
        transforms: Tensor = self.head(fine, coarse, batch["mask"], batch["components"])
        return transforms
