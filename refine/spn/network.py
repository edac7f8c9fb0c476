"""The spatial propagation network of Cheng et al. (2017).

The layers are those of the network that Liu et al. released (VGG-16 encoder, decoder with summed
skip connections, gates at half resolution), with two classes, background and one object. Its fixed
bilinear deconvolutions are bilinear interpolations here, which differ only in the outermost pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from vostrack.errors import InputError
from vostrack.refine.spn.dispatch import Impl
from vostrack.refine.spn.gates import GateMode, normalize_gates
from vostrack.refine.spn.propagation import propagate

__all__ = ["SpatialPropagationNetwork", "SpnConfig", "VggGuidance"]

# Input channels, then output channels of the convolutions, for each VGG-16 stage.
_VGG_STAGES = (
    (3, 64, 64),
    (64, 128, 128),
    (128, 256, 256, 256),
    (256, 512, 512, 512),
    (512, 512, 512, 512),
)
_VGG_STRIDE = 32
# Indices of the convolutions in torchvision's ``vgg16().features``.
_TORCHVISION_CONVS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class SpnConfig:
    """Configuration of the network.

    Attributes:
        channels: channels of the propagated map, at least 1.
        n_rounds: number of propagations with the same gates: 1 (as in the paper) or 2 (as in the
            released code).
        gate_mode: normalisation of the gates; see ``normalize_gates``.
        vgg_weights: torchvision's name of the initial VGG-16 weights, such as ``IMAGENET1K_V1``
            (downloaded if not in torchvision's cache); None for random weights.
        impl: implementation of the propagation.
    """

    channels: int = 32
    n_rounds: int = 2
    gate_mode: GateMode = "bounded"
    vgg_weights: str | None = None
    impl: Impl = "auto"

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: a number is out of range.
        """
        if self.channels < 1:
            raise InputError(f"SpnConfig.channels: expected at least 1, got {self.channels}")
        if self.n_rounds not in (1, 2):
            raise InputError(f"SpnConfig.n_rounds: expected 1 or 2, got {self.n_rounds}")


class VggGuidance(nn.Module):
    """VGG-16 with a symmetric decoder: computes raw gates at half the image resolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.stages = nn.ModuleList(_conv_relu_stage(widths) for widths in _VGG_STAGES)
        self.bridge = nn.Conv2d(512, 512, 1)
        self.decoders = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(512, 512, 3, padding=1), nn.ReLU()),
                nn.Sequential(nn.Conv2d(512, 512, 3, padding=1), nn.ReLU()),
                nn.Sequential(nn.Conv2d(512, 256, 3, padding=1), nn.ELU()),
            ]
        )
        self.gates = nn.Conv2d(256, channels * 12, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Compute raw gates.

        Args:
            image: (B, 3, H, W), ImageNet-normalised, H and W multiples of 32.

        Returns:
            (B, C, 4, 3, H/2, W/2), any real numbers.
        """
        skips = []
        x = image
        for stage in self.stages:
            x = stage(x)
            skips.append(x)
            x = functional.max_pool2d(x, 3, stride=2, ceil_mode=True)
        x = self.bridge(x)
        for decoder, skip in zip(self.decoders, reversed(skips[2:]), strict=True):
            x = decoder(_double(x)) + skip
        raw: Tensor = self.gates(_double(x))
        batch, _, height, width = raw.shape
        # The order of the released network: directions, then gates, then channels.
        released = raw.reshape(batch, 4, 3, self.channels, height, width)
        return released.permute(0, 3, 1, 2, 4, 5).contiguous()

    def load_torchvision(self, name: str) -> None:
        """Load the encoder's weights from torchvision's VGG-16.

        Args:
            name: torchvision's name of the weights, such as ``IMAGENET1K_V1``.

        Raises:
            InputError: torchvision has no such weights, or they cannot be downloaded.
        """
        from torchvision.models import VGG16_Weights

        if name not in VGG16_Weights.__members__:
            raise InputError(
                f"vgg_weights: expected one of {', '.join(VGG16_Weights.__members__)}, got {name!r}"
            )
        weights = VGG16_Weights[name]
        try:
            state = weights.get_state_dict(progress=False, check_hash=True)
        except (OSError, RuntimeError) as error:
            cache = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rsplit("/", 1)[-1]
            raise InputError(
                f"vgg_weights: {name} could not be downloaded ({error}); on a machine with "
                f"internet access, download {weights.url} to {cache}, or start from random weights"
            ) from None
        convs = [m for stage in self.stages for m in stage.modules() if isinstance(m, nn.Conv2d)]
        for index, conv in zip(_TORCHVISION_CONVS, convs, strict=True):
            conv.load_state_dict(
                {part: state[f"features.{index}.{part}"] for part in ("weight", "bias")}
            )


class SpatialPropagationNetwork(nn.Module):
    """Refines the scores of any number of objects with one guidance per image.

    The guidance depends only on the image. Compute it once per frame and use it for all objects.
    Images of any size are padded to multiples of 32, and the result is cropped.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: SpnConfig | None = None) -> None:
        super().__init__()
        self.config = config or SpnConfig()
        channels = self.config.channels
        self.guide = VggGuidance(channels)
        if self.config.vgg_weights is not None:
            self.guide.load_torchvision(self.config.vgg_weights)
        self.mask_branch = nn.Conv2d(2, channels, 4, stride=2, padding=1)
        self.head = nn.Sequential(
            nn.Conv2d(channels, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 2, 3, padding=1)
        )
        self.register_buffer("mean", torch.tensor(_IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_IMAGENET_STD).view(3, 1, 1), persistent=False)

    def guidance(self, image: Tensor) -> Tensor:
        """Compute the gates of an image.

        Args:
            image: (B, 3, h, w) or (3, h, w) in [0, 1], any h and w.

        Returns:
            (B, C, 4, 3, ceil(h/32)*16, ceil(w/32)*16), with B = 1 for a single image.

        Raises:
            InputError: the image has another shape.
        """
        if image.ndim not in (3, 4) or image.shape[-3] != 3 or 0 in image.shape:
            raise InputError(f"image: expected (3, h, w) or (B, 3, h, w), got {tuple(image.shape)}")
        batch = image if image.ndim == 4 else image[None]
        normal = (batch - self.mean) / self.std
        # Zero is the mean colour.
        raw = self.guide(functional.pad(normal, _padding(image.shape[-2:], _VGG_STRIDE)))
        return normalize_gates(raw, self.config.gate_mode)

    def logits(self, gates: Tensor, scores: Tensor) -> Tensor:
        """Refine scores without the final softmax, for training.

        Args:
            gates: from ``guidance``, of one image or of one image per score map.
            scores: (N, h, w) in [0, 1].

        Returns:
            Logits (N, 2, h, w) of background and object.

        Raises:
            InputError: the gates belong to an image of another size.
        """
        height, width = _check_scores(gates, scores)
        right, bottom = gates.shape[-1] * 2 - width, gates.shape[-2] * 2 - height
        mask = functional.pad(scores, (0, right, 0, bottom))
        state = self.mask_branch(torch.stack([1 - mask, mask], dim=1))
        # The gates may have a lower precision because of autocast.
        gates = gates.to(state.dtype)
        for _ in range(self.config.n_rounds):
            state = propagate(state, gates, self.config.impl)
        result: Tensor = self.head(_double(state))
        return result[..., :height, :width]

    def refine(self, gates: Tensor, scores: Tensor) -> Tensor:
        """Refine the scores of all objects of a frame in one batch.

        Args:
            gates: from ``guidance``.
            scores: (N, h, w) in [0, 1].

        Returns:
            The refined scores (N, h, w) in [0, 1].

        Raises:
            InputError: the gates belong to an image of another size.
        """
        if len(scores) == 0:
            return scores
        return self.logits(gates, scores).float().softmax(dim=1)[:, 1].to(scores.dtype)

    def forward(self, image: Tensor, scores: Tensor) -> Tensor:
        """Refine a batch with one score map per image, without the final softmax.

        Args:
            image: (B, 3, h, w) in [0, 1].
            scores: (B, h, w) in [0, 1].

        Returns:
            Logits (B, 2, h, w) of background and object.

        Raises:
            InputError: the shapes do not match.
        """
        return self.logits(self.guidance(image), scores)


def _conv_relu_stage(widths: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _padding(size: Sequence[int], multiple: int) -> tuple[int, int, int, int]:
    """Return the padding on the right and at the bottom up to the next multiple."""
    return 0, -size[1] % multiple, 0, -size[0] % multiple


def _check_scores(gates: Tensor, scores: Tensor) -> tuple[int, int]:
    if scores.ndim != 3:
        raise InputError(f"scores: expected (N, h, w), got {tuple(scores.shape)}")
    height, width = scores.shape[-2:]
    _, right, _, bottom = _padding((height, width), _VGG_STRIDE)
    expected = ((height + bottom) // 2, (width + right) // 2)
    if tuple(gates.shape[-2:]) != expected or gates.shape[0] not in (1, len(scores)):
        raise InputError(
            f"scores: expected the size of the gates' image, got gates of shape "
            f"{tuple(gates.shape)} and scores of shape {tuple(scores.shape)}; compute the guidance "
            "of the same image"
        )
    return height, width
