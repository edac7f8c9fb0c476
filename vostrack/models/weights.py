"""Building networks with trained weights, and saving them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from vostrack.checks import OptionValue
from vostrack.errors import InputError
from vostrack.models.backbone_registry import BACKBONES, OWN_BACKBONES
from vostrack.models.backbone_weights import (
    check_backbone,
    described,
    imagenet_state_dict,
    with_backbone_weights,
)
from vostrack.models.foreground import NetworkConfig, SegmentationNet, build_network
from vostrack.models.plug_in_backbones import try_backbone
from vostrack.models.semantic_backbone import SemanticBackbone
from vostrack.models.target_config import TargetNetConfig, config_from_json
from vostrack.models.target_net import TargetNet
from vostrack.models.target_net_builder import build_target_net
from vostrack.models.weights_file import (
    UndrawnWeights,
    check_weights_file,
    read_description,
    read_header,
    read_state_dict,
    read_weights,
    write_weights,
)

__all__ = [
    "check_trackable",
    "holds_target_net",
    "initialise",
    "initialise_target_net",
    "load_network",
    "load_semantic_backbone",
    "load_target_net",
    "save_network",
    "save_target_net",
    "shipped_weights",
]

_CONFIG_KEY = "vostrack.network"
_SHIPPED = Path(__file__).parent / "weights"

# What files with these keys in their headers hold, and the training command that writes them.
_OTHER_NETWORKS = {
    "vostrack.spn": "a spatial propagation network (vostrack train spn)",
    "vostrack.displacement": "a displacement field network (vostrack train siseg)",
    "vostrack.fcrn": "a fully convolutional residual network (vostrack train fcrn)",
    "vostrack.localizer": "a localization head (vostrack train localizer)",
}


def shipped_weights(name: str = "foreground") -> Path:
    """Return the path of a trained network that is shipped with the package.

    Raises:
        InputError: no network with this name is shipped.
    """
    path = _SHIPPED / f"{name}.safetensors"
    if not path.is_file():
        known = sorted(p.stem for p in _SHIPPED.glob("*.safetensors"))
        raise InputError(f"shipped weights: expected one of {', '.join(known)}, got {name!r}")
    return path


def save_network(network: SegmentationNet, path: Path, *, half: bool = False) -> None:
    """Write a network with its configuration as safetensors, atomically.

    Args:
        network: the network.
        path: the file to write.
        half: whether to store float16, with a relative rounding error of at most 2**-11.
    """
    description = {"config": described(network.config), "outputs": network.outputs}
    write_weights(network, path, {_CONFIG_KEY: description}, half=half)


def save_target_net(network: TargetNet, path: Path, *, half: bool = False) -> None:
    """Write a target network with its configuration; see ``save_network``."""
    write_weights(network, path, {_CONFIG_KEY: {"target": described(network.config)}}, half=half)


def load_network(path: Path, device: torch.device | None = None) -> SegmentationNet:
    """Load a network written by ``save_network``.

    Args:
        path: the file.
        device: where it will run; it is on the CPU first.

    Raises:
        InputError: the file does not exist or does not contain such a network.
    """
    description = read_description(path, _CONFIG_KEY)
    if description is None or "config" not in description:
        raise InputError(
            f"weights: {path}: expected a foreground network, got {_contents(path)}; use a file "
            "that vostrack train foreground wrote"
        )
    config = description["config"]
    config["strides"] = tuple(config["strides"])
    _check_installed(config["backbone"], path)
    with UndrawnWeights():
        network = build_network(NetworkConfig(**config), description["outputs"], device)
    _fill(network, path)
    return network


def _check_installed(backbone: str, path: Path) -> None:
    if backbone not in BACKBONES:
        raise InputError(
            f"weights: {path} was trained on the backbone {backbone!r}, which is not installed; "
            "install the distribution that brings it (entry points of the group "
            f"vostrack.backbones), or use weights of one of {', '.join(BACKBONES)}"
        )


def _fill(network: SegmentationNet | TargetNet, path: Path) -> None:
    """Load all weights of a network.

    Raises:
        InputError: they are of another network, or a plug-in's backbone does nothing useful with
            them.
    """
    backbone = network.config.backbone
    state, wanted = read_weights(path), network.state_dict()
    wrong = sorted(wanted.keys() ^ state.keys())
    wrong += [k for k in wanted if k in state and state[k].shape != wanted[k].shape]
    if wrong:
        raise InputError(
            f"weights: {path} does not fit its network: {len(wrong)} tensors are missing, unknown "
            f"or of another shape (the first is {wrong[0]}); it was trained on another form of the "
            f"backbone {backbone!r}, so install the version that it was trained with, or train anew"
        )
    network.load_state_dict(state)
    if backbone not in OWN_BACKBONES:
        try_backbone(network.backbone, network.backbone.strides)


def _contents(path: Path) -> str:
    """Return what a weights file holds, in words.

    Raises:
        InputError: the file cannot be read.
    """
    header = read_header(path)
    for key, contents in _OTHER_NETWORKS.items():
        if key in header:
            return contents
    description = read_description(path, _CONFIG_KEY)
    if description is None:
        read_state_dict(path)
        return "tensors without a description of a network"
    if "target" in description:
        return "a target network (vostrack train target)"
    return "a foreground network (vostrack train foreground)"


def check_trackable(weights: str) -> None:
    """Refuse a weights file of a network that does not track.

    Args:
        weights: as for ``initialise``.

    Raises:
        InputError: there is no such file, it holds a network of another method, or cannot be read.
    """
    if weights not in ("auto", "shipped", "imagenet", "none"):
        check_weights_file(Path(weights))
    header = read_header(Path(weights))
    if any(key in header for key in _OTHER_NETWORKS):
        raise InputError(
            f"weights: {weights} holds {_contents(Path(weights))}; expected a target network "
            "(vostrack train target), a foreground network (vostrack train foreground) or the "
            "state dict of an image classification network that is used as backbone"
        )


def holds_target_net(weights: str) -> bool:
    """Tell whether ``weights`` is a file written by ``save_target_net``."""
    description = read_description(Path(weights), _CONFIG_KEY)
    return description is not None and "target" in description


def load_semantic_backbone() -> SemanticBackbone:
    """Load the second backbone of the target network that is shipped with the package."""
    path, name = shipped_weights("target"), "semantic.backbone."
    description = read_description(path, _CONFIG_KEY)
    assert description is not None
    with UndrawnWeights():
        backbone = SemanticBackbone(description["target"]["semantic_scale"])
    state = read_state_dict(path, name)
    backbone.load_state_dict({k.removeprefix(name): v for k, v in state.items()})
    return backbone.eval()


def load_target_net(path: Path | None = None, device: torch.device | None = None) -> TargetNet:
    """Load a target network written by ``save_target_net``.

    Args:
        path: the file; by default the one that is shipped with the package.
        device: where it will run; it is on the CPU first.

    Returns:
        The network, in evaluation mode.

    Raises:
        InputError: the file does not exist or does not contain a target network.
    """
    path = path or shipped_weights("target")
    description = read_description(path, _CONFIG_KEY)
    if description is None or "target" not in description:
        raise InputError(
            f"weights: {path}: expected a target network, got {_contents(path)}; use a file that "
            "vostrack train target wrote"
        )
    config = config_from_json(description["target"])
    _check_installed(config.backbone, path)
    with UndrawnWeights():
        network = build_target_net(config, device)
    _fill(network, path)
    return network.eval()


def initialise_target_net(
    backbone: str | None,
    weights: str,
    *,
    options: Mapping[str, OptionValue] | None = None,
    seed: int = 0,
    device: torch.device | None = None,
) -> TargetNet:
    """Build a target network for training.

    Args:
        backbone: one of ``BACKBONES``; None for that of the weights, or ``resnet18``.
        weights: ``imagenet``, ``none``, the file of a backbone (see ``initialise``), or a file
            written by ``save_target_net``.
        options: fields of the backbone's options that are not left at their defaults.
        seed: seed of the random weights. The global random state is not changed.
        device: where it will run; it is on the CPU first.

    Raises:
        InputError: the weights are not available, do not fit, or were trained on another backbone.
    """
    if holds_target_net(weights):
        network = load_target_net(Path(weights), device)
        check_backbone(network.config, weights, backbone, options or {})
        return network
    config = TargetNetConfig(backbone=backbone or "resnet18", backbone_options=dict(options or {}))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_target_net(config, device)
        if weights != "none":
            like = NetworkConfig(
                config.backbone,
                (2, 4, 8, 16),
                norm="folded",
                backbone_options=config.backbone_options,
            )
            filled = _initialise(like, weights, device)
            check_backbone(filled.config, weights, config.backbone, config.backbone_options)
            network.backbone.load_state_dict(filled.backbone.state_dict())
    return network


def initialise(
    config: NetworkConfig, weights: str, *, seed: int = 0, device: torch.device | None = None
) -> SegmentationNet:
    """Build a network with two outputs and load its weights.

    Args:
        config: the architecture. The file of a whole network has its own configuration, which is
            used instead.
        weights: ``imagenet`` (torchvision's weights, downloaded once and cached), ``none``
            (random), ``shipped`` (the package's trained network), or the path of a file: a network
            written by ``save_network``, or a state dict of the backbone (``.safetensors``, ``.pt``,
            ``.pth``).
        seed: seed of the random weights. The global random state is not changed.
        device: where it will run; it is on the CPU first.

    Raises:
        InputError: the weights are not available or do not fit the network.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _initialise(config, weights, device)


def _initialise(
    config: NetworkConfig, weights: str, device: torch.device | None
) -> SegmentationNet:
    if weights == "shipped":
        return load_network(shipped_weights("finetune"))
    if weights == "none":
        return build_network(config, device=device)
    if weights == "imagenet":
        state = imagenet_state_dict(config.backbone)
        origin = f"torchvision's {config.backbone}"
    else:
        path = Path(weights)
        check_trackable(weights)
        if read_description(path, _CONFIG_KEY) is not None:
            return load_network(path, device)  # raises an error for a target network
        state = read_state_dict(path)
        origin = str(path)
    return with_backbone_weights(config, state, origin, device)
