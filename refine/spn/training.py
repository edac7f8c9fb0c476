"""Training of the propagation networks (Cheng et al. 2017, section 3.3; Liu et al. 2017).

An example is a crop around one object or class of an image; everything else is background. The
network gets coarse scores, either a degraded true mask or the output of a segmentation network, and
restores the mask. The same training serves the whole network and the light head on a frozen
backbone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from vostrack.checks import check_not_empty
from vostrack.datasets.augmentation import IGNORE, apply_augmentation, draw_augmentation
from vostrack.errors import InputError
from vostrack.refine.spn.degradation import coarse_scores, draw_degradation
from vostrack.refine.spn.light import LightGuidanceHead
from vostrack.refine.spn.network import SpatialPropagationNetwork
from vostrack.refine.spn.recipe import SpnRecipe
from vostrack.refine.spn.refiner import Features
from vostrack.refine.spn.training_images import TrainingImage

__all__ = ["Source", "SpnTraining"]

# A weight, and the images that are drawn with it.
Source = tuple[float, Sequence[TrainingImage]]
# The released network trains its pretrained encoder at a tenth of the rate.
_ENCODER_FACTOR = 0.1
# How many crops are drawn at most until one holds both object and background.
_TRIES = 10
_MIN_SHARE = 0.01
# Standard deviation of the noise of a camera in the dark.
_MOST_GRAIN = 0.02


class SpnTraining:
    """Draws crops and computes the losses; ``vostrack.training.loop.train`` follows it.

    Args:
        network: what is trained, on its device.
        sources: images, each source with its weight.
        recipe: how the network is trained.
        features: for a light head: images (B, 3, H, W) in [0, 1] to the maps it was built for; see
            ``vostrack.refine.spn.frozen_features``.
        scorer: a network that gives coarse scores: images (B, 3, H, W) in [0, 1] to logits. With
            2 outputs it scores all objects of an image against the background; with more, the VOC
            classes of images that have classes. None degrades the true mask of every crop.

    Raises:
        InputError: no image, or a light head without features.
    """

    def __init__(
        self,
        network: SpatialPropagationNetwork | LightGuidanceHead,
        sources: Sequence[Source],
        recipe: SpnRecipe,
        *,
        features: Features | None = None,
        scorer: nn.Module | None = None,
    ) -> None:
        used = [(weight, images) for weight, images in sources if weight > 0 and len(images)]
        check_not_empty(used, "image")
        if isinstance(network, LightGuidanceHead) and features is None:
            raise InputError("training: a light head needs `features`, those of a frozen backbone")
        self.network = network
        self.recipe = recipe
        self._weights = torch.tensor([weight for weight, _ in used])
        self._images = [images for _, images in used]
        self._features = features
        self._scorer = None if scorer is None else scorer.eval().requires_grad_(False)

    def over(self, sources: Sequence[Source]) -> SpnTraining:
        """Return the same training over other images, such as those that are held out."""
        return SpnTraining(
            self.network, sources, self.recipe, features=self._features, scorer=self._scorer
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What a checkpoint must agree with to be continued: recipe, network, and images."""
        drawn = zip(self._weights.tolist(), map(len, self._images), strict=True)
        images = [{"weight": weight, "count": count} for weight, count in drawn]
        return asdict(self.recipe) | {"network": asdict(self.network.config), "images": images}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the parameters; those of a pretrained encoder are a group of their own."""
        rate = self.recipe.learning_rate
        if isinstance(self.network, LightGuidanceHead):
            return [{"params": self.network.parameters(), "lr": rate}]
        encoder = set(self.network.guide.stages.parameters())
        rest = [p for p in self.network.parameters() if p not in encoder]
        return [
            {"params": self.network.guide.stages.parameters(), "lr": rate * _ENCODER_FACTOR},
            {"params": rest, "lr": rate},
        ]

    def draw(self, generator: Generator, step: int) -> dict[str, Tensor]:
        """Draw a batch.

        Returns:
            ``image`` (B, 3, S, S) in [0, 1]; ``truth`` (B, S, S) of 0, 1 and 255; ``coarse``
            (B, S, S) in (0, 1); ``output`` (B,), the output of the scorer that replaces ``coarse``,
            -1 for none.
        """
        items = [self._draw_one(generator) for _ in range(self.recipe.batch)]
        return {
            name: torch.stack([item[name] for item in items])
            for name in ("image", "truth", "coarse", "output")
        }

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the mean cross-entropy over the labelled pixels."""
        image, truth = batch["image"], batch["truth"]
        coarse = self.coarse(batch)
        if isinstance(self.network, SpatialPropagationNetwork):
            logits = self.network(image, coarse).float()
            # The sum, so that a crop without a labelled pixel does not divide by zero.
            loss = functional.cross_entropy(logits, truth, ignore_index=IGNORE, reduction="sum")
        else:
            score = self.refine(image, coarse).float()
            # Keeps the loss finite and the gradient above zero.
            right = torch.where(truth == 1, score, 1 - score) * (1 - 2e-4) + 1e-4
            loss = -(right.log() * (truth != IGNORE)).sum()
        return {"entropy": loss / (truth != IGNORE).sum().clamp(min=1)}

    def refine(self, image: Tensor, coarse: Tensor) -> Tensor:
        """Refine scores (B, S, S) of one object per image."""
        if isinstance(self.network, SpatialPropagationNetwork):
            return self.network.refine(self.network.guidance(image), coarse)
        assert self._features is not None  # checked when built
        with torch.no_grad():
            features = self._features(image)
        return self.network.refine(self.network(image, features), coarse)

    @torch.no_grad()
    def coarse(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the coarse scores (B, S, S) of a batch, those of the scorer included."""
        coarse, output = batch["coarse"], batch["output"]
        chosen = (output >= 0).nonzero()[:, 0]
        if self._scorer is None or len(chosen) == 0:
            return coarse
        scores = self._scorer(batch["image"][chosen]).float().softmax(dim=1)
        own = scores[torch.arange(len(chosen), device=scores.device), output[chosen]]
        return coarse.index_copy(0, chosen, own)

    def _draw_one(self, generator: Generator) -> dict[str, Tensor]:
        recipe = self.recipe
        from_network = bool(torch.rand((), generator=generator) < recipe.network_share)
        for _ in range(_TRIES):
            drawn = self._draw_image(generator)
            output, target = self._draw_target(drawn, from_network, generator)
            image, truth = self._crop(drawn.image, target, generator)
            if min((truth == k).float().mean() for k in (0, 1)) >= _MIN_SHARE:
                break
        if bool(torch.rand((), generator=generator) < recipe.flat_share):
            # No segmentation network was trained on such images: its scores would be useless.
            image, output = _without_texture(image, truth == 1, generator), -1
        coarse = coarse_scores(truth == 1, draw_degradation(recipe.degradation, generator))
        return {"image": image, "truth": truth, "coarse": coarse, "output": torch.tensor(output)}

    def _draw_image(self, generator: Generator) -> TrainingImage:
        source = int(torch.multinomial(self._weights, 1, generator=generator))
        images = self._images[source]
        return images[int(torch.randint(len(images), (1,), generator=generator))]

    def _draw_target(
        self, drawn: TrainingImage, from_network: bool, generator: Generator
    ) -> tuple[int, Tensor]:
        """Return which output of the scorer is used, -1 for none, and the mask it should give."""
        labels = drawn.labels
        present = [
            k for k in labels.flatten().bincount().nonzero()[:, 0].tolist() if k not in (0, IGNORE)
        ]
        chosen = int(torch.randint(max(len(present), 1), (1,), generator=generator))
        label = present[chosen] if present else -1
        void = labels == IGNORE
        one = (labels == label).long().masked_fill(void, IGNORE)
        outputs = _outputs(self._scorer)
        if not from_network or outputs == 0 or label < 0:
            return -1, one
        if outputs == 2:
            return 1, (labels > 0).long().masked_fill(void, IGNORE)
        return (label, one) if drawn.classes and label < outputs else (-1, one)

    def _crop(self, image: Tensor, target: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Warp a crop that is centred on a pixel of the object."""
        params = draw_augmentation(self.recipe.augmentation, generator)
        place = float(torch.rand((), generator=generator))
        inside = (target == 1).nonzero()
        if not len(inside):
            inside = torch.tensor([[side // 2 for side in target.shape]])
        row, column = inside[int(place * (len(inside) - 1))].tolist()
        size = (self.recipe.side, self.recipe.side)
        return apply_augmentation(
            image.float() / 255, target, params, center=(column + 0.5, row + 0.5), size=size
        )


def _without_texture(image: Tensor, inside: Tensor, generator: Generator) -> Tensor:
    """Paint object and rest of (3, h, w) in their mean colours, with grain of up to 2 %."""
    flat = torch.zeros_like(image)
    for region in (inside, ~inside):
        mean = (image * region).sum((1, 2), keepdim=True) / region.sum().clamp(min=1)
        flat += mean * region
    grain = _MOST_GRAIN * torch.rand((), generator=generator)
    return (flat + grain * torch.randn(flat.shape, generator=generator)).clamp(0, 1)


def _outputs(scorer: nn.Module | None) -> int:
    """Return how many outputs the scorer has; 21, those of VOC, unless it says otherwise."""
    return 0 if scorer is None else int(getattr(scorer, "outputs", 21))
