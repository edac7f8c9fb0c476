"""The backbones by name: one entry each for the configurations of networks and ``--backbone``.

This module loads no torch; a backbone's code is loaded when it is built. Other distributions add
theirs by an entry point of the group ``vostrack.backbones``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vostrack.checks import OptionValue
from vostrack.errors import InputError
from vostrack.registry import NONE, PartRegistry

if TYPE_CHECKING:
    import torch

    from vostrack.models.backbones import Backbone

__all__ = ["BACKBONES", "OWN_BACKBONES", "BackboneEntry", "backbone_settings", "stored_options"]


@dataclass(frozen=True)
class BackboneEntry:
    """A feature extractor. A plug-in's entry point refers to one of these."""

    options: type[Any]
    """Frozen dataclass of its options: every field has a default and a plain type (number, bool,
    str, Path, Literal or None). Files of trained networks keep them, except paths: a path says
    where first weights come from."""

    build: Callable[[Any, Sequence[int], torch.device], Backbone]
    """Makes the backbone out of its options, with feature maps at the given ascending strides (from
    2, 4, 8, 16, 32), for the device where it will run. ``Backbone.strides`` and
    ``Backbone.channels`` say what it gives."""


@dataclass(frozen=True)
class _NoOptions:
    """The package's own backbones have nothing to choose."""


def _own(name: str, options: _NoOptions, strides: Sequence[int], device: torch.device) -> Backbone:
    from vostrack.models.backbones import build_own_backbone

    return build_own_backbone(name, strides)


OWN_BACKBONES = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "mobilenet_v2")
"""The package's own, by torchvision's names. torchvision has ImageNet weights of them."""

BACKBONES: PartRegistry[BackboneEntry] = PartRegistry(
    "backbone",
    {name: BackboneEntry(_NoOptions, partial(_own, name)) for name in OWN_BACKBONES},
    BackboneEntry,
)
"""Every backbone, plug-ins of the group ``vostrack.backbones`` included."""


def backbone_settings(name: str, given: Mapping[str, OptionValue]) -> Any:
    """Return the options of a backbone, those that are not given at their defaults.

    Raises:
        InputError: as ``BACKBONES.settings``. Every network has a backbone: ``none`` is refused.
    """
    if name == NONE or name not in BACKBONES:
        raise InputError(
            f"backbone: expected one of {', '.join(BACKBONES)}, got {name!r}; install the "
            "distribution that brings it, if it is a plug-in"
        )
    return BACKBONES.settings(name, given)


def stored_options(name: str, given: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
    """Return the options that a file of a trained network keeps: those given, without paths."""
    settings = backbone_settings(name, given)
    values = {option: getattr(settings, option) for option in given}
    return {option: value for option, value in values.items() if not isinstance(value, Path)}
