"""Saving and loading trained propagation networks."""

from __future__ import annotations

from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import torch

from vostrack.errors import InputError
from vostrack.models.foreground import SegmentationNet
from vostrack.models.shared_backbone import backbone_fingerprint
from vostrack.models.weights import load_network, shipped_weights
from vostrack.models.weights_file import (
    UndrawnWeights,
    read_description,
    read_weights,
    write_weights,
)
from vostrack.refine.spn.light import LightGuidanceHead, LightSpnConfig
from vostrack.refine.spn.network import SpatialPropagationNetwork, SpnConfig
from vostrack.refine.spn.options import SpnOptions
from vostrack.refine.spn.refiner import LightSpnRefiner, SpnRefiner, frozen_features

__all__ = ["build_spn", "load_refiner", "load_spn", "save_spn"]

_KEY = "vostrack.spn"


def save_spn(
    network: SpatialPropagationNetwork | LightGuidanceHead,
    path: Path,
    *,
    base: SegmentationNet | None = None,
    half: bool = False,
) -> None:
    """Write a network with its configuration as safetensors, atomically.

    Args:
        network: the network.
        path: the file to write.
        base: the network whose backbone a light head was trained on; the file records its
            fingerprint. None stands for the shipped one.
        half: whether to store float16, with a relative rounding error of at most 2**-11.
    """
    kind = "light" if isinstance(network, LightGuidanceHead) else "whole"
    description: dict[str, object] = {"kind": kind, "config": asdict(network.config)}
    if base is not None:
        description["backbone"] = backbone_fingerprint(base)
    write_weights(network, path, {_KEY: description}, half=half)


def load_spn(path: Path) -> SpatialPropagationNetwork | LightGuidanceHead:
    """Load a network written by ``save_spn``, or the bare state dict of a full network.

    Returns:
        The network, float32, on the CPU, in evaluation mode.

    Raises:
        InputError: the file does not exist or does not contain a propagation network.
    """
    if not path.is_file():
        raise InputError(f"spn: no file {path}; expected a file of vostrack train spn")
    state = read_weights(path)
    description = read_description(path, _KEY) or {"kind": "whole", "config": {}}
    network: SpatialPropagationNetwork | LightGuidanceHead
    try:
        config = description["config"]
        if description["kind"] == "light":
            config["feature_channels"] = tuple(config["feature_channels"])
            network = LightGuidanceHead(LightSpnConfig(**config))
        else:
            # The file contains the encoder's weights, so nothing is downloaded.
            with UndrawnWeights():
                network = SpatialPropagationNetwork(SpnConfig(**{**config, "vgg_weights": None}))
        network.load_state_dict(state)
    except (KeyError, TypeError, RuntimeError) as error:
        raise InputError(
            f"spn: {path} does not contain a propagation network "
            f"({' '.join(str(error).split())[:200]}); expected a file of vostrack train spn"
        ) from None
    return network.eval()


def load_refiner(
    path: Path, *, base: SegmentationNet | None = None, device: torch.device | None = None
) -> SpnRefiner | LightSpnRefiner:
    """Load a network written by ``save_spn`` as a refiner.

    Args:
        path: the file.
        base: the network whose backbone a light head was trained on. It is frozen.
        device: device of the refiner; by default that of ``base``, or the CPU.

    Raises:
        InputError: as in ``load_spn``, or ``base`` does not have the backbone that a light head was
            trained on.
    """
    network = load_spn(path)
    if device is None:
        device = torch.device("cpu") if base is None else base.mean.device
    if isinstance(network, SpatialPropagationNetwork):
        return SpnRefiner(network.to(device))
    channels = None if base is None else base.backbone.channels
    if base is None or channels != network.config.feature_channels:
        raise InputError(
            f"spn: {path} was trained on a backbone with feature channels "
            f"{network.config.feature_channels}, got {channels or 'none'}; use the foreground "
            "network that it was trained with"
        )
    _check_backbone(path, base)
    return LightSpnRefiner(network.to(device), frozen_features(base))


def _check_backbone(path: Path, base: SegmentationNet) -> None:
    """Check that a light head was trained on the backbone of ``base``.

    Files that record no backbone were trained on the shipped one.
    """
    description = read_description(path, _KEY) or {}
    trained_on = description.get("backbone") or _shipped_backbone()
    found = backbone_fingerprint(base)
    if found != trained_on:
        raise InputError(
            f"spn: {path} was trained on the backbone {trained_on}, got {found}; use the "
            "foreground network that it was trained with: its file is the option `backbone` of "
            "the refiner spn"
        )


@lru_cache(maxsize=1)
def _shipped_backbone() -> str:
    return backbone_fingerprint(load_network(shipped_weights()))


def build_spn(options: SpnOptions, device: torch.device) -> SpnRefiner | LightSpnRefiner:
    """Build the refiner from its options.

    Raises:
        InputError: as ``load_refiner``.
    """
    path = shipped_weights("spn") if options.weights == "shipped" else Path(options.weights)
    shipped = options.backbone == "shipped"
    base = load_network(shipped_weights() if shipped else Path(options.backbone))
    return load_refiner(path, base=base.to(device), device=device)
