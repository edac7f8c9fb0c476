"""Propagation networks as implementations of ``vostrack.protocols.Refiner``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from vostrack.errors import InputError
from vostrack.models.foreground import SegmentationNet
from vostrack.refine.spn.dispatch import Impl
from vostrack.refine.spn.light import LightGuidanceHead
from vostrack.refine.spn.network import SpatialPropagationNetwork

__all__ = ["Features", "LightSpnRefiner", "SpnRefiner", "frozen_features"]

# Maps images (B, 3, h, w) in [0, 1] to feature maps.
Features = Callable[[Tensor], Sequence[Tensor]]


class _GuidedRefiner(ABC):
    """Checks the input and refines without gradients."""

    @torch.no_grad()
    def __call__(self, image: Tensor, scores: Tensor) -> Tensor:
        """Refine the scores of one frame.

        Args:
            image: (3, h, w) in [0, 1].
            scores: (N, h, w) in [0, 1].

        Returns:
            The refined scores (N, h, w) in [0, 1].

        Raises:
            InputError: image and scores have the wrong shape or differ in size.
        """
        fits = image.ndim == 3 and image.shape[0] == 3 and 0 not in image.shape
        if not fits or scores.ndim != 3 or scores.shape[1:] != image.shape[1:]:
            raise InputError(
                "refiner: expected an image (3, h, w) and scores (N, h, w), got "
                f"{tuple(image.shape)} and {tuple(scores.shape)}"
            )
        return self._refine(image, scores)

    def warm_up(self, device: torch.device) -> None:
        """Load the propagation of this device by refining a small image.

        Args:
            device: device of the images and scores to come.
        """
        for count in (1, 2):
            scores = torch.full((count, 64, 64), 0.6, device=device)
            self(torch.zeros(3, 64, 64, device=device), scores)

    @abstractmethod
    def _refine(self, image: Tensor, scores: Tensor) -> Tensor: ...


class SpnRefiner(_GuidedRefiner):
    """Refines with the full network of Cheng et al. (2017).

    Args:
        network: the network, in evaluation mode.
    """

    def __init__(self, network: SpatialPropagationNetwork) -> None:
        self.network = network

    def _refine(self, image: Tensor, scores: Tensor) -> Tensor:
        return self.network.refine(self.network.guidance(image), scores)


class LightSpnRefiner(_GuidedRefiner):
    """Refines with a light head on the features of a backbone.

    Args:
        head: the guidance head.
        features: maps an image (1, 3, h, w) in [0, 1] to the feature maps of the head's backbone.
        impl: implementation of the propagation.
    """

    def __init__(
        self,
        head: LightGuidanceHead,
        features: Features,
        impl: Impl = "auto",
    ) -> None:
        self.head = head
        self.features = features
        self.impl: Impl = impl

    def _refine(self, image: Tensor, scores: Tensor) -> Tensor:
        batch = image[None]
        return self.head.refine(self.head(batch, self.features(batch)), scores, self.impl)


def frozen_features(network: SegmentationNet) -> Features:
    """Return a function that computes the backbone features of a network; it can be pickled.

    Args:
        network: the network. It is frozen and set to evaluation mode.
    """
    return partial(_backbone_features, network.eval().requires_grad_(False))


def _backbone_features(network: SegmentationNet, image: Tensor) -> Sequence[Tensor]:
    # The memory format of the weights.
    normal = ((image - network.mean) / network.std).contiguous(memory_format=torch.channels_last)
    return network.backbone(normal)  # type: ignore[no-any-return]
