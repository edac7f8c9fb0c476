"""How the propagation networks are trained (Cheng et al. 2017, section 3.3; Liu et al. 2017).

A crop of 256 pixels around one object or class of a picture, whatever else there is being
background; its true mask made coarse, or scored by a segmentation network; the network restores it.
One recipe serves the whole network and the light head on a backbone that stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from vostrack.checks import demand_some
from vostrack.compute.precision import Precision
from vostrack.datasets.augmentation import IGNORE, apply_augmentation, draw_augmentation
from vostrack.errors import InputError
from vostrack.refine.spn.degradation import coarse_scores, draw_degradation
from vostrack.refine.spn.light import LightGuidanceHead
from vostrack.refine.spn.network import SpatialPropagationNetwork
from vostrack.refine.spn.recipe_config import SpnRecipe
from vostrack.refine.spn.refiner import Features
from vostrack.refine.spn.training_images import TrainingImage
from vostrack.training.loop import OnStep, train

__all__ = ["Source", "SpnRecipe", "SpnTraining", "train_spn"]

# A weight, and the pictures that are drawn with it.
Source = tuple[float, Sequence[TrainingImage]]
# The released network trains its pretrained encoder at a tenth of the rate.
_ENCODER_FACTOR = 0.1
# How often another crop is drawn where one holds nothing to separate.
_TRIES = 10
_MIN_SHARE = 0.01
# Standard deviation: that of a noisy camera in the dark.
_MOST_GRAIN = 0.02


def train_spn(
    training: SpnTraining,
    folder: Path,
    *,
    stop_after: int | None = None,
    precision: Precision = "auto",
    tensorboard: bool = False,
    ahead: int = 0,
    on_step: OnStep | None = None,
) -> int:
    """Train ``training.network`` in place; continue from a checkpoint in ``folder``.

    Args:
        training: network, pictures and recipe.
        folder: see ``vostrack.training.loop.train``, as for what follows.
        stop_after: stop, with a checkpoint, after so many steps of this call.
        precision: of the forward pass.
        tensorboard: write curves for TensorBoard, too.
        ahead: batches drawn ahead in threads.
        on_step: called after every step with the steps done and the loss.

    Returns:
        The steps done in all; ``recipe.steps`` when the training is complete.

    Raises:
        InputError: the checkpoint is of another recipe, or a loss is not finite.
    """
    recipe = training.recipe
    options = asdict(recipe) | {"network": asdict(training.network.config)}
    del options["checkpoint_every"]
    return train(
        training.network,
        training,
        recipe.loop(precision=precision, tensorboard=tensorboard, ahead=ahead),
        folder,
        settings=options,
        stop_after=stop_after,
        on_step=on_step,
    )


class SpnTraining:
    """The recipe as the training loop wants it.

    Args:
        network: what is trained, on its device.
        sources: where pictures come from, each source with its weight.
        recipe: how.
        features: for a light head: images (B, 3, H, W) in [0, 1] to the maps it was built for; see
            ``vostrack.refine.spn.frozen_features``.
        scorer: a network that gives coarse scores: images (B, 3, H, W) in [0, 1] to logits. With
            2 outputs it scores all objects of a picture against the background; with more, the VOC
            classes of pictures that have classes. None degrades the truth of every crop.

    Raises:
        InputError: no picture, or a light head without features.
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
        used = [(weight, pictures) for weight, pictures in sources if weight > 0 and len(pictures)]
        demand_some(used, "picture")
        if isinstance(network, LightGuidanceHead) and features is None:
            raise InputError("training: a light head needs the features of a backbone")
        self.network = network
        self.recipe = recipe
        self._weights = torch.tensor([weight for weight, _ in used])
        self._pictures = [pictures for _, pictures in used]
        self._features = features
        self._scorer = None if scorer is None else scorer.eval().requires_grad_(False)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the parameters, a pretrained encoder apart."""
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
            # Counted by hand: a crop without a labelled pixel must not divide by zero.
            loss = functional.cross_entropy(logits, truth, ignore_index=IGNORE, reduction="sum")
        else:
            score = self.refine(image, coarse).float()
            # Never an infinite loss, never a zero gradient.
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
            picture = self._draw_picture(generator)
            output, target = self._draw_target(picture, from_network, generator)
            image, truth = self._crop(picture.image, target, generator)
            if min((truth == k).float().mean() for k in (0, 1)) >= _MIN_SHARE:
                break
        if bool(torch.rand((), generator=generator) < recipe.flat_share):
            # No network has met such an image: its scores would teach nothing.
            image, output = _without_texture(image, truth == 1, generator), -1
        coarse = coarse_scores(truth == 1, draw_degradation(recipe.degradation, generator))
        return {"image": image, "truth": truth, "coarse": coarse, "output": torch.tensor(output)}

    def _draw_picture(self, generator: Generator) -> TrainingImage:
        source = int(torch.multinomial(self._weights, 1, generator=generator))
        pictures = self._pictures[source]
        return pictures[int(torch.randint(len(pictures), (1,), generator=generator))]

    def _draw_target(
        self, picture: TrainingImage, from_network: bool, generator: Generator
    ) -> tuple[int, Tensor]:
        """Return which output of the scorer is used, -1 for none, and the mask it should give."""
        labels = picture.labels
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
        return (label, one) if picture.classes and label < outputs else (-1, one)

    def _crop(self, image: Tensor, target: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Warp a crop whose middle is near the object."""
        params = draw_augmentation(self.recipe.augmentation, generator)
        place = float(torch.rand((), generator=generator))
        inside = (target == 1).nonzero()
        if not len(inside):
            inside = torch.tensor([[side // 2 for side in target.shape]])
        row, column = inside[int(place * (len(inside) - 1))].tolist()
        size = (self.recipe.crop, self.recipe.crop)
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
    """Return how many outputs the scorer has; 21, those of VOC, where it does not say."""
    return 0 if scorer is None else int(getattr(scorer, "outputs", 21))
