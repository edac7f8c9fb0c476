"""Input of the image networks: checking batches and normalising them as for ImageNet."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vostrack.errors import InputError
from vostrack.models.backbones import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["check_images", "register_imagenet_statistics"]


def check_images(image: Tensor, network: str) -> None:
    """Check that ``image`` is a batch of RGB images.

    Args:
        image: expected to be (B, 3, H, W).
        network: name of the network in the message.

    Raises:
        InputError: the shape is not (B, 3, H, W).
    """
    if image.ndim != 4 or image.shape[1] != 3 or min(image.shape) < 1:
        raise InputError(f"{network}: expected images (B, 3, H, W), got {tuple(image.shape)}")


def register_imagenet_statistics(network: nn.Module) -> None:
    """Add the ImageNet mean and standard deviation (1, 3, 1, 1) as buffers ``mean`` and ``std``.

    The buffers are not part of the state dict.
    """
    for name, values in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
        buffer = torch.tensor(values).view(1, 3, 1, 1)
        network.register_buffer(name, buffer, persistent=False)
