"""Features of a network that was trained to tell classes apart: the second, fixed backbone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vostrack.models.deeplab_mobilenetv2 import DeepLabMobileNetV2, load_deeplab_mobilenetv2
from vostrack.models.eight_bit_mobilenet import EightBitMobileNet
from vostrack.models.pointwise import pointwise

__all__ = ["SEMANTIC_CHANNELS", "SemanticBackbone", "principal_directions"]

SEMANTIC_CHANNELS = 320
"""Channels of the features."""

# At the start: the share of the new part in the cosine of two keys, and the norm of embeddings.
_KEY_SHARE = 0.4
_EMBEDDING_NORM = 3.0


class SemanticBackbone(nn.Module):
    """DeepLabv3-MobileNetV2 without its head (Chen et al. 2017; Sandler et al. 2018).

    Its weights never change, and no gradient goes through it.

    Attributes:
        features: the layers, with the names they have in ``DeepLabMobileNetV2``.
        scale: size of the images that it sees, relative to those it is given.
    """

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        self.features = DeepLabMobileNetV2().features

    @torch.no_grad()
    def forward(
        self,
        image: Tensor,
        size: Sequence[int],
        *,
        eight_bit: EightBitMobileNet | None = None,
    ) -> Tensor:
        """Compute the features of images.

        Args:
            image: (B, 3, H, W) in [0, 1], or bytes.
            size: h and w of the result.
            eight_bit: the same layers in 8 bits, to be used in their place.

        Returns:
            (B, 320, h, w), a unit vector in each place.
        """
        x = eight_bit(self._smaller(image)) if eight_bit else self.features(self.scaled(image))
        if x.shape[-2:] != tuple(size):
            x = F.interpolate(x, tuple(size), mode="bilinear", align_corners=False)
        return F.normalize(x, dim=1)

    def scaled(self, image: Tensor) -> Tensor:
        """Return images (B, 3, H, W), in [0, 1] or bytes, as the layers take them."""
        x = self._smaller(image)
        x = x.float() * (2 / 255) - 1 if x.dtype == torch.uint8 else x * 2 - 1
        return x.contiguous(memory_format=torch.channels_last)

    def _smaller(self, image: Tensor) -> Tensor:
        """Return images (B, 3, H, W) in the size that the layers see."""
        if self.scale == 1:
            return image
        size = [max(16, round(side * self.scale)) for side in image.shape[-2:]]
        return F.interpolate(image, size, mode="bilinear", align_corners=False, antialias=True)

    def load_deeplab(self, path: str | Path) -> None:
        """Take the weights of a DeepLabv3-MobileNetV2.

        Raises:
            InputError: the file does not exist or does not contain this network.
        """
        self.features.load_state_dict(load_deeplab_mobilenetv2(path).features.state_dict())


def principal_directions(columns: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the directions in which columns differ most, and their mean.

    Args:
        columns: (C, M).
        count: of the directions.

    Returns:
        (count, C) orthonormal rows, the first one that of the largest variance, each with its
        largest entry positive; and the mean (C,).
    """
    mean = columns.double().mean(1)
    centred = columns.double() - mean[:, None]
    _, vectors = torch.linalg.eigh(centred @ centred.T / columns.shape[1])
    rows = vectors.flip(1)[:, :count].T
    largest = rows.gather(1, rows.abs().argmax(1, keepdim=True))
    return (rows * largest.sign()).to(columns.dtype), mean.to(columns.dtype)


class SemanticCues(nn.Module):
    """The second backbone, and what keys and embeddings get from it.

    Args:
        channels: added to keys, and to embeddings.
        scale: see ``SemanticBackbone``.
    """

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.backbone = SemanticBackbone(scale)
        self.key = pointwise(SEMANTIC_CHANNELS, channels)
        self.embedding = pointwise(SEMANTIC_CHANNELS, channels)
        self.key_share = nn.Parameter(torch.tensor(_KEY_SHARE).logit())
        self.embedding_norm = nn.Parameter(torch.tensor(_EMBEDDING_NORM))

    def with_key(self, key: Tensor, features: Tensor) -> Tensor:
        """Lengthen unit vectors (B, K, h, w); they stay unit vectors.

        The cosine of two keys is then a weighted mean of the cosines of their two parts.
        """
        share = self.key_share.sigmoid()
        own = F.normalize(self.key(features), dim=1)
        return torch.cat([(1 - share).sqrt() * key, share.sqrt() * own], dim=1)

    def embed(self, features: Tensor) -> Tensor:
        """Return what the closed-form classifier sees of the features: (B, E, h, w)."""
        return self.embedding_norm * F.normalize(self.embedding(features), dim=1)

    @torch.no_grad()
    def fit(self, columns: Tensor) -> None:
        """Start keys and embeddings from the principal directions of features (C, M)."""
        rows, mean = principal_directions(columns, self.key.out_channels)
        for conv in (self.key, self.embedding):
            conv.weight.copy_(rows[..., None, None])
            assert conv.bias is not None
            conv.bias.copy_(-rows @ mean)
