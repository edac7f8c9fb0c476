"""The propagation networks behind the protocol ``vostrack.protocols.Refiner``."""

from __future__ import annotations

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

# From images (B, 3, h, w) in [0, 1] to feature maps.
Features = Callable[[Tensor], Sequence[Tensor]]


class SpnRefiner:
    """Refines with the whole network of Cheng et al. 2017; one guidance per call."""

    def __init__(self, network: SpatialPropagationNetwork) -> None:
        self.network = network

    @torch.no_grad()
    def __call__(self, image: Tensor, scores: Tensor) -> Tensor:
        """Refine the scores of one frame.

        Args:
            image: (3, h, w) in [0, 1].
            scores: (N, h, w) in [0, 1].

        Returns:
            (N, h, w) in [0, 1].

        Raises:
            InputError: the shapes do not fit one another.
        """
        _check_frame(image, scores)
        return self.network.refine(self.network.guidance(image), scores)


class LightSpnRefiner:
    """Refines with a light head on the features of a backbone.

    Args:
        head: the guidance head.
        features: maps an image (1, 3, h, w) in [0, 1] to the feature maps the head was built for;
            a tracker that has computed those of this frame already hands them out again.
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

    @torch.no_grad()
    def __call__(self, image: Tensor, scores: Tensor) -> Tensor:
        """Refine the scores of one frame.

        Args:
            image: (3, h, w) in [0, 1].
            scores: (N, h, w) in [0, 1].

        Returns:
            (N, h, w) in [0, 1].

        Raises:
            InputError: the shapes do not fit one another.
        """
        _check_frame(image, scores)
        batch = image[None]
        return self.head.refine(self.head(batch, self.features(batch)), scores, self.impl)


def frozen_features(network: SegmentationNet) -> Features:
    """Return the feature maps of a network's backbone as a function; the network is frozen."""
    return partial(_backbone_features, network.eval().requires_grad_(False))


def _backbone_features(network: SegmentationNet, image: Tensor) -> Sequence[Tensor]:
    # As the weights lie in memory.
    normal = ((image - network.mean) / network.std).contiguous(memory_format=torch.channels_last)
    return network.backbone(normal)  # type: ignore[no-any-return]


def _check_frame(image: Tensor, scores: Tensor) -> None:
    fits = image.ndim == 3 and image.shape[0] == 3 and 0 not in image.shape
    if not fits or scores.ndim != 3 or scores.shape[1:] != image.shape[1:]:
        raise InputError(
            "refiner: expected an image (3, h, w) and scores (N, h, w), got "
            f"{tuple(image.shape)} and {tuple(scores.shape)}"
        )
