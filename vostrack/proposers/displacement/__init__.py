"""Instances out of a semantic mask by displacement fields and class boundaries (SISeg).

"Synthetic Instance Segmentation from Semantic Image Segmentation Masks": every pixel points to
the centre of its object, trained on semantic masks alone. A random walk that stops at class
boundaries refines the result. The names below are loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vostrack.proposers.displacement.build import build_displacement
    from vostrack.proposers.displacement.networks import (
        DisplacementNet,
        FieldAndBoundary,
        NetworkConfig,
        load_displacement_net,
        save_displacement_net,
    )
    from vostrack.proposers.displacement.options import DisplacementOptions
    from vostrack.proposers.displacement.proposer import DisplacementProposer

__all__ = [
    "DisplacementNet",
    "DisplacementOptions",
    "DisplacementProposer",
    "FieldAndBoundary",
    "NetworkConfig",
    "build_displacement",
    "load_displacement_net",
    "save_displacement_net",
]

_HOMES = {
    "DisplacementNet": "networks",
    "DisplacementOptions": "options",
    "DisplacementProposer": "proposer",
    "FieldAndBoundary": "networks",
    "NetworkConfig": "networks",
    "build_displacement": "build",
    "load_displacement_net": "networks",
    "save_displacement_net": "networks",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
