"""Class scores by a network's name, and class masks from a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.masks.palette import read_label_map
from vostrack.models.deeplab_mobilenetv2 import load_deeplab_mobilenetv2
from vostrack.models.fcn8s import load_fcn8s
from vostrack.models.fcrn import Fcrn, load_fcrn
from vostrack.models.weights_file import UndrawnWeights, read_state_dict

__all__ = ["TORCHVISION_SEMANTIC", "build_semantic", "read_semantic_mask", "weights_of"]

TORCHVISION_SEMANTIC = (
    "fcn_resnet50",
    "fcn_resnet101",
    "deeplabv3_mobilenet_v3_large",
    "deeplabv3_resnet50",
    "deeplabv3_resnet101",
    "lraspp_mobilenet_v3_large",
)
"""torchvision's networks with the 21 VOC labels; torchvision downloads and caches their weights."""

_OWN: dict[str, Callable[[str | Path], nn.Module]] = {
    "deeplab_mobilenetv2": load_deeplab_mobilenetv2,
    "fcn8s_vgg16": load_fcn8s,
}

_FILES = (".safetensors", ".pt", ".pth")
_VOC_LABELS = 21

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class _TorchvisionScorer(nn.Module):
    """Normalises images as in torchvision's training and keeps the main output."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        if getattr(network, "aux_classifier", None) is not None:
            network.aux_classifier = None  # type: ignore[assignment]  # torchvision's own "none"
        self.network = network
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(_STD)[:, None, None], persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        scores: Tensor = self.network((image - self.mean) / self.std)["out"]
        return scores


def build_semantic(name: str, weights: str | Path | None = None) -> nn.Module:
    """Build a network that maps images (B, 3, H, W) in [0, 1] to logits (B, 21, H, W).

    Args:
        name: ``deeplab_mobilenetv2``, ``fcn8s_vgg16``, one of ``TORCHVISION_SEMANTIC``, or the
            ``fcrn.safetensors`` of ``vostrack train fcrn``.
        weights: file of a state dict; required for the first two, while torchvision's own weights
            are downloaded when None.

    Raises:
        InputError: an unknown name, or weights that are missing, cannot be downloaded or do not
            fit.
    """
    if Path(name).suffix in _FILES:
        if weights is not None:
            raise InputError(
                f"semantic_weights: {name} has its weights already; leave `semantic_weights` out"
            )
        return _FcrnScorer(_semantic_fcrn(Path(name)))
    if name in _OWN:
        if weights is None:
            raise InputError(
                f"semantic network {name} needs its weights; give a file with `semantic_weights`, "
                "or a torchvision network with `semantic=deeplabv3_resnet50`"
            )
        return _OWN[name](weights)
    if name not in TORCHVISION_SEMANTIC:
        known = ", ".join((*_OWN, *TORCHVISION_SEMANTIC, "a file of vostrack train fcrn"))
        raise InputError(f"semantic network: expected one of {known}, got {name!r}")
    return _TorchvisionScorer(_torchvision_network(name, weights)).eval()


class _FcrnScorer(nn.Module):
    """An FCRN that predicts at the size of the image."""

    def __init__(self, network: Fcrn) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return self.network.segment(image)


def _semantic_fcrn(path: Path) -> Fcrn:
    network = load_fcrn(path)
    if network.outputs != _VOC_LABELS:
        raise InputError(
            f"semantic network: {path} has {network.outputs} outputs, expected the {_VOC_LABELS} "
            "VOC labels; train it with --task semantic on the layout voc or sbd"
        )
    return network.eval()


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Return the state dict that ``build_semantic`` takes for this network."""
    inner = network.network if isinstance(network, _TorchvisionScorer) else network
    return inner.state_dict()


def _torchvision_network(name: str, weights: str | Path | None) -> nn.Module:
    from torchvision.models import get_model

    if weights is not None:
        state = read_state_dict(Path(weights))
        auxiliary = any(key.startswith("aux_classifier.") for key in state)
        options = {} if name.startswith("lraspp") else {"aux_loss": auxiliary}
        with UndrawnWeights():
            network: nn.Module = get_model(
                name, weights=None, weights_backbone=None, num_classes=21, **options
            )
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"semantic weights: {weights} does not fit {name} ({reason})"
            ) from None
        return network
    try:
        fetched: nn.Module = get_model(name, weights="COCO_WITH_VOC_LABELS_V1")
    except OSError as error:
        raise InputError(
            f"semantic network {name}: torchvision's weights cannot be downloaded ({error}); give "
            "a file with `semantic_weights`"
        ) from None
    return fetched


def read_semantic_mask(folder: Path, name: str, size: tuple[int, int]) -> UInt8Array:
    """Read the class mask of an image: a palette or gray PNG of class ids, where 255 is void.

    Args:
        folder: holds NAME.png for each image.
        name: the image's file name without its suffix.
        size: H and W of the image.

    Returns:
        (H, W) uint8.

    Raises:
        InputError: there is no such file, it is no label map, or its size is not the image's.
    """
    path = folder / f"{name}.png"
    mask = read_label_map(path)
    if mask.shape != size:
        raise InputError(
            f"{path} is {mask.shape[1]} x {mask.shape[0]} pixels, its image {size[1]} x {size[0]}; "
            "give the mask at the size of the image"
        )
    return mask
