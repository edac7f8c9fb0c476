"""The fully convolutional residual network of Wu et al. (2016), section 2.3.

A ResNet without pooling and classification layers, dilated so that its last feature map has stride
8 or 16, followed by one convolution with a large field of view. The same network predicts class
logits, or boxes with four numbers per class.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vostrack.checks import check_at_least
from vostrack.errors import InputError
from vostrack.models.backbones import BackboneName
from vostrack.models.foreground import NetworkConfig
from vostrack.models.image_input import register_imagenet_statistics
from vostrack.models.normalization import FrozenBatchNorm2d
from vostrack.models.weights import initialise
from vostrack.models.weights_file import UndrawnWeights, read_described, write_weights

__all__ = ["Fcrn", "FcrnConfig", "build_classifier", "build_fcrn", "load_fcrn", "save_fcrn"]

_CONFIG_KEY = "vostrack.fcrn"
_FEATURES = 2048


@dataclass(frozen=True)
class FcrnConfig:
    """Architecture of an FCRN. The defaults are the paper's best on PASCAL VOC.

    Attributes:
        depth: number of layers of the ResNet: 50, 101 or 152.
        output_stride: stride of the last feature map, 8 or 16 pixels.
        kernel: kernel size of the classifier, odd.
        dilation: dilation of the classifier, at least 1.
        hidden: channels of the classifier's hidden layer; 0 for a linear classifier. The paper's
            best model has a non-linear classifier that is not described further. Here it has two
            convolutions of the same kernel and dilation with a ReLU in between.
        dropout: dropout probabilities in the residual branches of the last two stages (1024 and
            2048 channels), in [0, 1). The first author's later networks use 0.3 and 0.5.
    """

    depth: Literal[50, 101, 152] = 101
    output_stride: Literal[8, 16] = 8
    kernel: int = 5
    dilation: int = 12
    hidden: int = 0
    dropout: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: a value is out of range.
        """
        if self.depth not in (50, 101, 152):
            raise InputError(f"depth: expected 50, 101 or 152, got {self.depth}")
        if self.output_stride not in (8, 16):
            raise InputError(f"output_stride: expected 8 or 16, got {self.output_stride}")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise InputError(f"kernel: expected an odd number, got {self.kernel}")
        check_at_least(self, {"dilation": 1, "hidden": 0})
        if not all(0 <= p < 1 for p in self.dropout):
            raise InputError(f"dropout: expected values in [0, 1), got {self.dropout}")

    @property
    def field_of_view(self) -> int:
        """Side of the classifier's field of view in pixels (tables 1 and 3 of the paper)."""
        layers = 2 if self.hidden else 1
        return self.output_stride * (layers * (self.kernel - 1) * self.dilation + 1)

    @property
    def backbone(self) -> BackboneName:
        """Torchvision's name of the backbone."""
        names: dict[int, BackboneName] = {50: "resnet50", 101: "resnet101", 152: "resnet152"}
        return names[self.depth]


class _DropoutConv2d(nn.Conv2d):
    """A 1x1 convolution with dropout on its input, with the parameter names of a plain one."""

    def __init__(self, plain: nn.Conv2d, probability: float) -> None:
        # The meta device: the weights of the plain one are used, and no random number is drawn.
        super().__init__(plain.in_channels, plain.out_channels, 1, bias=False, device="meta")
        self.weight = plain.weight
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.dropout(x, self.probability, self.training))


class Fcrn(nn.Module):
    """A dilated ResNet with a classifier on its last feature map.

    Attributes:
        config: the architecture.
        outputs: number of output channels.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: FcrnConfig, outputs: int) -> None:
        super().__init__()
        self.config = config
        self.outputs = outputs
        self.backbone = _dilated_backbone(config)
        self.classifier = build_classifier(config, outputs)
        register_imagenet_statistics(self)

    def forward(self, image: Tensor) -> Tensor:
        """Predict at the resolution of the last feature map.

        Args:
            image: (B, 3, H, W) in [0, 1].

        Returns:
            (B, outputs, ceil(H / s), ceil(W / s)) float32 with the output stride s. Cell k covers
            the pixels s * k to s * k + s - 1, here and in training.
        """
        prediction: Tensor = self.classifier(self.backbone((image - self.mean) / self.std))
        return prediction.float()

    def segment(self, image: Tensor) -> Tensor:
        """Predict at the resolution of the image, by bilinear interpolation.

        Args:
            image: (B, 3, H, W) in [0, 1].

        Returns:
            (B, outputs, H, W) float32.
        """
        size = image.shape[-2:]
        return F.interpolate(self(image), size=size, mode="bilinear", align_corners=False)


def build_fcrn(
    config: FcrnConfig, outputs: int, weights: str = "imagenet", *, seed: int = 0
) -> Fcrn:
    """Build the network and load its backbone.

    Args:
        config: the architecture.
        outputs: number of classes, background first; for a localisation network, four times the
            number of classes without background.
        weights: ``imagenet``, ``none``, or a file with the backbone; see
            ``vostrack.models.weights.initialise``.
        seed: seed of the classifier, and of the backbone if ``weights`` is ``none``.

    Raises:
        InputError: the weights are not available or do not fit.
    """
    source = initialise(NetworkConfig(config.backbone, (4, 8, 16, 32)), weights, seed=seed)
    if source.config.norm == "folded":
        raise InputError(
            f"FCRN: expected weights with batch normalisation, got {weights}, where it is folded "
            "into the convolutions; use weights such as those of torchvision"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Fcrn(config, outputs)
    network.backbone.load_state_dict(source.backbone.layers.state_dict())
    return network.to(memory_format=torch.channels_last)


def _dilated_backbone(config: FcrnConfig) -> nn.Sequential:
    """Build torchvision's ResNet with dilation instead of the strides of its last stages.

    torchvision has the stride in the 3x3 convolution of a stage's first block. That convolution
    therefore keeps the dilation of the previous stage, and only later blocks are dilated more. The
    weights then see the same inputs as in training. (In the paper's Caffe networks the stride is in
    the 1x1 convolution, and the 3x3 convolution of the first block is dilated too.)
    """
    import torchvision

    resnet = torchvision.models.get_model(
        config.backbone,
        weights=None,
        norm_layer=FrozenBatchNorm2d,
        replace_stride_with_dilation=[False, config.output_stride == 8, True],
    )
    for stage, probability in zip((resnet.layer3, resnet.layer4), config.dropout, strict=True):
        if probability:
            for block in stage:
                block.conv3 = _DropoutConv2d(block.conv3, probability)
    names = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    backbone = nn.Sequential()
    for name in names:
        backbone.add_module(name, getattr(resnet, name))
    return backbone


def build_classifier(config: FcrnConfig, outputs: int) -> nn.Sequential:
    """Build the classifier, from features (B, 2048, h, w) to (B, outputs, h, w)."""
    padding = (config.kernel - 1) * config.dilation // 2

    def conv(channels: int, width: int) -> nn.Conv2d:
        layer = nn.Conv2d(channels, width, config.kernel, padding=padding, dilation=config.dilation)
        nn.init.normal_(layer.weight, std=0.01)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
        return layer

    if not config.hidden:
        return nn.Sequential(conv(_FEATURES, outputs))
    first, last = conv(_FEATURES, config.hidden), conv(config.hidden, outputs)
    return nn.Sequential(first, nn.ReLU(inplace=True), last)


def save_fcrn(network: Fcrn, path: Path, *, half: bool = False) -> None:
    """Write a network with its configuration as safetensors, atomically.

    Args:
        network: the network.
        path: the file to write.
        half: whether to store float16.
    """
    description = {"config": asdict(network.config), "outputs": network.outputs}
    write_weights(network, path, {_CONFIG_KEY: description}, half=half)


def load_fcrn(path: Path) -> Fcrn:
    """Load a network written by ``save_fcrn``.

    Returns:
        The network, in evaluation mode.

    Raises:
        InputError: the file does not exist or does not contain an FCRN.
    """
    description, state = read_described(path, _CONFIG_KEY, what="FCRN", command="fcrn")
    values = description["config"]
    values["dropout"] = tuple(values["dropout"])
    with UndrawnWeights():
        network = Fcrn(FcrnConfig(**values), description["outputs"])
    network.load_state_dict(state)
    return network.eval()
