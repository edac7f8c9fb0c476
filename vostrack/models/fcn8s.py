"""FCN-8s on VGG-16 (Long et al. 2015), the semantic network of Arnab and Torr (2016).

It differs from the released network only at the borders: the image is padded to a multiple of 32,
so that all maps align. The released network pads by 100 pixels and crops every score map.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from vostrack.errors import InputError
from vostrack.models.image_input import check_images, register_imagenet_statistics
from vostrack.models.weights_file import UndrawnWeights, read_state_dict

__all__ = ["Fcn8s", "fcn8s_from_vgg16", "load_fcn8s"]

_LAYERS = (2, 2, 3, 3, 3)
_WIDTHS = (64, 128, 256, 512, 512)
_STRIDE = 32


class Fcn8s(nn.Module):
    """FCN-8s: class logits at stride 32 plus those of pool4 and pool3, upsampled to the image.

    ``features`` has the same layers and names as torchvision's VGG-16, so its weights fit.

    Args:
        classes: number of classes L, including the background.
        widths: number of channels of the five stages.
        hidden: number of channels of the two convolutions that replace fully connected layers.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, classes: int = 21, widths: tuple[int, ...] = _WIDTHS, hidden: int = 4096
    ) -> None:
        super().__init__()
        self.classes = classes
        layers: list[nn.Module] = []
        channels = 3
        self._pools = []
        for width, count in zip(widths, _LAYERS, strict=True):
            for _ in range(count):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
            self._pools.append(len(layers))
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.fc6 = nn.Conv2d(channels, hidden, 7, padding=3)
        self.fc7 = nn.Conv2d(hidden, hidden, 1)
        self.score = nn.Conv2d(hidden, classes, 1)
        self.score_pool4 = nn.Conv2d(widths[3], classes, 1)
        self.score_pool3 = nn.Conv2d(widths[2], classes, 1)
        self.up2 = _bilinear(classes, 2)
        self.up4 = _bilinear(classes, 2)
        self.up8 = _bilinear(classes, 8)
        # The skip connections start without effect, as FCN-32s.
        for layer in (self.score, self.score_pool4, self.score_pool3):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # these layers have a bias
        register_imagenet_statistics(self)

    def forward(self, image: Tensor) -> Tensor:
        """Compute class logits for every pixel.

        Args:
            image: (B, 3, H, W) float RGB in [0, 1].

        Returns:
            (B, L, H, W) logits.

        Raises:
            InputError: the image is not (B, 3, H, W).
        """
        check_images(image, "Fcn8s")
        height, width = image.shape[-2:]
        x = (image - self.mean) / self.std
        x = functional.pad(x, (0, -width % _STRIDE, 0, -height % _STRIDE))
        pools = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self._pools:
                pools.append(x)
        x = functional.dropout(functional.relu(self.fc6(x)), training=self.training)
        x = functional.dropout(functional.relu(self.fc7(x)), training=self.training)
        # As in the released FCN, the factors adapt the gradients of the skips to their activations.
        scores = self.up2(self.score(x)) + self.score_pool4(pools[3] * 0.01)
        scores = self.up4(scores) + self.score_pool3(pools[2] * 0.0001)
        full: Tensor = self.up8(scores)[..., :height, :width]
        return full


def _bilinear(classes: int, factor: int) -> nn.ConvTranspose2d:
    """Build a trainable upsampling by ``factor`` that starts as bilinear interpolation."""
    size = 2 * factor
    layer = nn.ConvTranspose2d(
        classes, classes, size, stride=factor, padding=factor // 2, bias=False
    )
    ramp = 1 - (torch.arange(size) - (size - 1) / 2).abs() / factor
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[range(classes), range(classes)] = ramp[:, None] * ramp
    return layer


def fcn8s_from_vgg16(weights: str | Path = "imagenet", classes: int = 21) -> Fcn8s:
    """Build an FCN-8s from a VGG-16 trained on ImageNet. Its logits are zero before training.

    Args:
        weights: ``imagenet`` (torchvision's weights, downloaded once), or a file with the state
            dict of a VGG-16.
        classes: number of classes L.

    Raises:
        InputError: the weights are not available or are not those of a VGG-16.
    """
    if weights == "imagenet":
        from torchvision.models import VGG16_Weights

        try:
            state = VGG16_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
        except OSError as error:
            raise InputError(
                f"fcn8s_vgg16: the VGG-16 of torchvision cannot be downloaded ({error}); give the "
                "file of its state dict"
            ) from None
    else:
        state = read_state_dict(Path(weights))
    try:
        hidden = len(state["classifier.0.bias"])
        widths = tuple(len(state[f"features.{i}.bias"]) for i in (0, 5, 10, 17, 24))
        network = Fcn8s(classes, widths, hidden)
        _fill(network, state)
    except (KeyError, RuntimeError) as error:
        raise InputError(
            f"fcn8s_vgg16: {weights}: expected a state dict of torchvision's VGG-16 ({error}); "
            "check the path"
        ) from None
    return network


def _fill(network: Fcn8s, state: dict[str, Tensor]) -> None:
    """Copy the convolutions, and the fully connected layers as convolutions."""
    prefix = "features."
    inner = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    network.features.load_state_dict(inner)
    for layer, name in ((network.fc6, "classifier.0"), (network.fc7, "classifier.3")):
        weight = state[f"{name}.weight"].reshape(layer.weight.shape)
        layer.load_state_dict({"weight": weight, "bias": state[f"{name}.bias"]})


def load_fcn8s(path: str | Path) -> Fcn8s:
    """Load a trained network.

    Returns:
        The network, in evaluation mode.

    Raises:
        InputError: the file does not exist or does not contain this network.
    """
    path = Path(path)
    state = read_state_dict(path)
    try:
        widths = tuple(len(state[f"features.{i}.bias"]) for i in (0, 5, 10, 17, 24))
        with UndrawnWeights():
            network = Fcn8s(len(state["score.bias"]), widths, len(state["fc7.bias"]))
        network.load_state_dict({key: value.float() for key, value in state.items()})
    except (KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"semantic weights: {path}: expected an FCN-8s ({reason}); check the path"
        ) from None
    return network.eval()
