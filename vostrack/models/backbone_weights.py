"""The backbone of a network's weights: which it is, and where its first weights come from."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vostrack.checks import OptionValue
from vostrack.errors import InputError
from vostrack.models.backbone_registry import OWN_BACKBONES, stored_options
from vostrack.models.foreground import NetworkConfig, SegmentationNet, build_network
from vostrack.models.target_config import TargetNetConfig

__all__ = ["check_backbone", "described", "imagenet_state_dict", "with_backbone_weights"]

_log = logging.getLogger("vostrack.models")


def described(config: NetworkConfig | TargetNetConfig) -> dict[str, Any]:
    """Return a configuration as the JSON of a weights file can hold it."""
    values = asdict(config)
    values["backbone_options"] = stored_options(config.backbone, config.backbone_options)
    return values


def check_backbone(
    trained: NetworkConfig | TargetNetConfig,
    weights: str,
    backbone: str | None,
    options: Mapping[str, OptionValue],
) -> None:
    """Refuse a whole network's weights that were trained on another backbone than asked for.

    Args:
        trained: of the network in the file.
        weights: the file, for the message.
        backbone: what was asked for; None for whatever the file has.
        options: of the backbone, those that were given.

    Raises:
        InputError: they differ.
    """
    asked = trained.backbone if backbone is None else backbone
    before = stored_options(trained.backbone, trained.backbone_options)
    if asked == trained.backbone:
        given = stored_options(asked, options)
        if given == {name: before[name] for name in given if name in before}:
            return
    raise InputError(
        f"weights: {weights} was trained on the backbone {trained.backbone!r} with options "
        f"{before}, not on {asked!r} with {dict(options)}; leave `backbone` and its options out, "
        "or begin from the weights of a backbone"
    )


def imagenet_state_dict(backbone: str) -> dict[str, Tensor]:
    """Return torchvision's ImageNet weights of a backbone; they are downloaded once and cached.

    Raises:
        InputError: torchvision has none, or they could not be downloaded.
    """
    if backbone not in OWN_BACKBONES:
        raise InputError(
            f"weights: there are no ImageNet weights for the backbone {backbone!r} of a plug-in; "
            "pass a file, or `weights='none'` for the weights that the plug-in itself begins with"
        )
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


def with_backbone_weights(
    config: NetworkConfig, state: Mapping[str, Tensor], origin: str, device: torch.device | None
) -> SegmentationNet:
    """Build a network and load its backbone.

    Batch normalisation of the package's own backbones is folded if it is folded in the weights.

    Args:
        config: the architecture.
        state: of the backbone's layers.
        origin: where it comes from, for messages.
        device: where the network will run.

    Raises:
        InputError: the weights do not fit.
    """
    folded = not any(k.endswith("running_mean") for k in state)
    if config.backbone not in OWN_BACKBONES:
        network = build_network(config, device=device)
    elif folded and config.norm != "folded":
        config = replace(config, norm="folded")
        network = build_network(config)
    elif not folded and config.norm == "folded":
        from vostrack.models.normalization import fold_batch_norm

        unfolded = replace(config, norm="frozen")
        network = with_backbone_weights(unfolded, state, origin, device)
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
            f"shape (the first is {first}); use the state dict of {_whose(config.backbone)}, or a "
            "file of vostrack train foreground, which brings its own architecture"
        )
    layers.load_state_dict({k: state[k] for k in wanted if k in state}, strict=False)
    _log.debug("backbone %s loaded from %s", config.backbone, origin)
    return network


def _whose(backbone: str) -> str:
    own = backbone in OWN_BACKBONES
    return f"a torchvision {backbone}" if own else f"the layers of the plug-in {backbone!r}"
