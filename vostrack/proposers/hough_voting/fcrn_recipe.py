"""How the two FCRNs are trained; ``vostrack.training.loop.train`` follows the classes here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Generator, Tensor

from vostrack.checks import check_at_least
from vostrack.datasets.augmentation import (
    AugmentationConfig,
    apply_augmentation,
    draw_augmentation,
)
from vostrack.datasets.labelled_images import LabelledImages
from vostrack.errors import InputError
from vostrack.masks.palette import VOID
from vostrack.models.fcrn import Fcrn
from vostrack.proposers.hough_voting.bootstrapping import (
    Bootstrapping,
    bootstrapped_cross_entropy,
)
from vostrack.proposers.hough_voting.box_recipe import BoxRecipe
from vostrack.proposers.hough_voting.boxes import cell_centres
from vostrack.proposers.hough_voting.targets import cell_labels, instance_targets

__all__ = ["FcrnRecipe", "LocalizationTraining", "SemanticTraining", "class_transforms"]


@dataclass(frozen=True)
class FcrnRecipe(BoxRecipe):
    """How the FCRNs are trained; the defaults are those of the first author's later networks.

    Attributes:
        batch: crops per step and process.
        side: of the square crops, pixels.
        learning_rate: of SGD at the start; twice that for biases.
        bootstrapping: selects the pixels of a crop that count in the loss; None for all.
        size_exponent: of the weights by size (localisation only), at least 0; 0 for none.
        augmentation: what a crop may go through.
    """

    batch: int = 16
    learning_rate: float = 1.6e-3
    bootstrapping: Bootstrapping | None = field(default_factory=Bootstrapping)
    side: int = 500
    augmentation: AugmentationConfig = field(
        default_factory=lambda: AugmentationConfig(
            scale=(0.7, 1.3), rotation=0, shift=0, flip=0.5, identity=0
        )
    )

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: one is out of its range.
        """
        super().__post_init__()
        check_at_least(self, {"side": 8})


class _FcrnTraining:
    def __init__(
        self, network: Fcrn, images: LabelledImages, recipe: FcrnRecipe | None = None
    ) -> None:
        self.network = network
        self.images = images
        self.recipe = recipe or FcrnRecipe()
        self.stride = int(network.config.output_stride)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the weights, and the biases with twice the rate and without decay."""
        rate = self.recipe.learning_rate
        named = list(self.network.named_parameters())
        return [
            {"params": [p for n, p in named if not n.endswith("bias")], "lr": rate},
            {
                "params": [p for n, p in named if n.endswith("bias")],
                "lr": 2 * rate,
                "weight_decay": 0.0,
            },
        ]

    def _crop(self, image: Tensor, labels: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        height, width = labels.shape
        u = torch.rand(2, generator=generator).tolist()
        side = self.recipe.side
        params = draw_augmentation(self.recipe.augmentation, generator)
        # Centres are drawn so that the crop reaches beyond the image as little as possible.
        center = tuple(
            size / 2 + (share - 0.5) * max(0.0, size - side / params.scale)
            for size, share in ((width, u[0]), (height, u[1]))
        )
        return apply_augmentation(
            image.float() / 255,
            labels,
            params,
            center=(center[0], center[1]),
            size=(side, side),
        )

    def _index(self, generator: Generator) -> int:
        return int(torch.randint(len(self.images), (1,), generator=generator))


class SemanticTraining(_FcrnTraining):
    """Trains the semantic network: cross-entropy over the hard pixels, at the output resolution.

    Args:
        network: with one output for each class.
        images: the training images.
        recipe: how the network is trained.
    """

    def draw(self, generator: Generator, step: int) -> dict[str, Tensor]:
        """Draw a batch of crops."""
        images, targets = [], []
        for _ in range(self.recipe.batch):
            drawn = self.images[self._index(generator)]
            image, classes = self._crop(drawn.image, drawn.classes, generator)
            images.append(image)
            targets.append(cell_labels(classes, self.stride))
        return {"image": torch.stack(images), "target": torch.stack(targets)}

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the semantic loss."""
        logits = self.network(batch["image"].contiguous(memory_format=torch.channels_last))
        rule = self.recipe.bootstrapping
        return {"semantic": bootstrapped_cross_entropy(logits, batch["target"], rule)}


class LocalizationTraining(_FcrnTraining):
    """Trains the localisation network: smooth L1 of boxes, in the channels of their class.

    Args:
        network: with four outputs for each class but the background.
        images: the training images.
        recipe: how the network is trained.

    Raises:
        InputError: the images have no instances.
    """

    def __init__(
        self, network: Fcrn, images: LabelledImages, recipe: FcrnRecipe | None = None
    ) -> None:
        super().__init__(network, images, recipe)
        if not images.instance_classes:
            raise InputError(
                "localisation needs instances, but this layout has none; use voc, sbd, cityscapes "
                "or davis"
            )

    def draw(self, generator: Generator, step: int) -> dict[str, Tensor]:
        """Draw a batch of crops."""
        images, boxes, labels = [], [], []
        for _ in range(self.recipe.batch):
            drawn = self.images[self._index(generator)]
            assert drawn.ids is not None
            image, ids = self._crop(drawn.image, drawn.ids, generator)
            targets = instance_targets(ids, self.stride)
            images.append(image)
            boxes.append(targets.boxes)
            labels.append(drawn.labels[targets.ids] * (targets.ids != VOID))
        height, width = labels[0].shape
        return {
            "image": torch.stack(images),
            "boxes": torch.stack(boxes),
            "labels": torch.stack(labels),
            "centres": cell_centres(height, width, self.stride),
        }

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the localisation loss."""
        prediction = self.network(batch["image"].contiguous(memory_format=torch.channels_last))
        transforms = class_transforms(prediction, batch["labels"])
        return self.recipe.loss(transforms, batch["boxes"], batch["labels"] > 0, batch["centres"])


def class_transforms(prediction: Tensor, labels: Tensor) -> Tensor:
    """Pick the four channels of each pixel's class.

    Args:
        prediction: (B, 4 K, h, w).
        labels: (B, h, w) int64 in 0..K; the channels of class 1 where it is 0.

    Returns:
        (B, 4, h, w).
    """
    batch, _, height, width = prediction.shape
    by_class = prediction.reshape(batch, -1, 4, height, width)
    index = (labels - 1).clamp(min=0)[:, None, None].expand(-1, 1, 4, -1, -1)
    return by_class.gather(1, index)[:, 0]
