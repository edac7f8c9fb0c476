"""Building networks with trained weights, and saving them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from vostrack.errors import InputError
from vostrack.models.backbones import BackboneName
from vostrack.models.foreground import NetworkConfig, SegmentationNet, build_network
from vostrack.models.target_config import TargetNetConfig, config_from_json
from vostrack.models.target_net import TargetNet, build_target_net
from vostrack.models.weights_file import (
    UndrawnWeights,
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
    "load_target_net",
    "save_network",
    "save_target_net",
    "shipped_weights",
]

_log = logging.getLogger("vostrack.models")
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
    description = {"config": asdict(network.config), "outputs": network.outputs}
    write_weights(network, path, {_CONFIG_KEY: description}, half=half)


def save_target_net(network: TargetNet, path: Path, *, half: bool = False) -> None:
    """Write a target network with its configuration; see ``save_network``."""
    write_weights(network, path, {_CONFIG_KEY: {"target": asdict(network.config)}}, half=half)


def load_network(path: Path) -> SegmentationNet:
    """Load a network written by ``save_network``.

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
    with UndrawnWeights():
        network = build_network(NetworkConfig(**config), description["outputs"])
    network.load_state_dict(read_weights(path))
    return network


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
        InputError: the file holds a network of another method, or cannot be read.
    """
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


def load_target_net(path: Path | None = None) -> TargetNet:
    """Load a target network written by ``save_target_net``.

    Args:
        path: the file; by default the one that is shipped with the package.

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
    with UndrawnWeights():
        network = build_target_net(config_from_json(description["target"]))
    network.load_state_dict(read_weights(path))
    return network.eval()


def initialise_target_net(backbone: BackboneName, weights: str, *, seed: int = 0) -> TargetNet:
    """Build a target network for training.

    Args:
        backbone: the backbone; ignored if the weights are those of a whole network.
        weights: ``imagenet``, ``none``, the file of a backbone (see ``initialise``), or a file
            written by ``save_target_net``.
        seed: seed of the random weights. The global random state is not changed.

    Raises:
        InputError: the weights are not available or do not fit.
    """
    if holds_target_net(weights):
        return load_target_net(Path(weights))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_target_net(TargetNetConfig(backbone=backbone))
        if weights != "none":
            like = NetworkConfig(backbone, (2, 4, 8, 16), norm="folded")
            filled = _initialise(like, weights).backbone
            network.backbone.load_state_dict(filled.state_dict())
    return network


def initialise(config: NetworkConfig, weights: str, *, seed: int = 0) -> SegmentationNet:
    """Build a network with two outputs and load its weights.

    Args:
        config: the architecture. The file of a whole network has its own configuration, which is
            used instead.
        weights: ``imagenet`` (torchvision's weights, downloaded once and cached), ``none``
            (random), ``shipped`` (the package's trained network), or the path of a file: a network
            written by ``save_network``, or a state dict of the backbone (``.safetensors``, ``.pt``,
            ``.pth``).
        seed: seed of the random weights. The global random state is not changed.

    Raises:
        InputError: the weights are not available or do not fit the network.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _initialise(config, weights)


def _initialise(config: NetworkConfig, weights: str) -> SegmentationNet:
    if weights == "shipped":
        return load_network(shipped_weights())
    if weights == "none":
        return build_network(config)
    if weights == "imagenet":
        state = _imagenet_state_dict(config.backbone)
        origin = f"torchvision's {config.backbone}"
    else:
        path = Path(weights)
        check_trackable(weights)
        if read_description(path, _CONFIG_KEY) is not None:
            return load_network(path)  # raises an error for a target network
        state = read_state_dict(path)
        origin = str(path)
    return _with_backbone(config, state, origin)


def _imagenet_state_dict(backbone: str) -> dict[str, Tensor]:
    import torchvision

    weights = torchvision.models.get_model_weights(backbone)["IMAGENET1K_V1"]
    cache = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rsplit("/", 1)[-1]
    try:
        return dict(weights.get_state_dict(progress=True, check_hash=True))
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"weights: the ImageNet weights of {backbone} could not be downloaded ({error}); on a "
            f"machine with internet access, download {weights.url} to {cache}; or pass a file as "
            "`weights`, or `weights='shipped'` for the network of the package"
        ) from None


def _with_backbone(
    config: NetworkConfig, state: Mapping[str, Tensor], origin: str
) -> SegmentationNet:
    """Load the backbone. Batch normalisation is folded if it is folded in the weights."""
    folded = not any(k.endswith("running_mean") for k in state)
    if folded and config.norm != "folded":
        config = NetworkConfig(**{**asdict(config), "norm": "folded"})
        network = build_network(config)
    elif not folded and config.norm == "folded":
        from vostrack.models.normalization import fold_batch_norm

        unfolded = NetworkConfig(**{**asdict(config), "norm": "frozen"})
        network = _with_backbone(unfolded, state, origin)
        fold_batch_norm(network.backbone.layers)
        network.config = config
        return network
    else:
        network = build_network(config)
    layers = network.backbone.layers
    wanted = layers.state_dict()
    missing = [k for k in wanted if k not in state and not k.endswith("num_batches_tracked")]
    wrong = [k for k in wanted if k in state and state[k].shape != wanted[k].shape]
    if missing or wrong:
        first = (missing or wrong)[0]
        raise InputError(
            f"weights: {origin} does not fit the backbone {config.backbone} with strides "
            f"{config.strides}: {len(missing)} tensors are missing, {len(wrong)} have another "
            f"shape (the first is {first}); use the state dict of a torchvision {config.backbone}, "
            "or a file of vostrack train foreground, which brings its own architecture"
        )
    layers.load_state_dict({k: state[k] for k in wanted if k in state}, strict=False)
    _log.debug("backbone %s loaded from %s", config.backbone, origin)
    return network
