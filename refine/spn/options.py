"""The options of the refiner ``spn``. This module loads no torch."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SpnOptions"]


@dataclass(frozen=True)
class SpnOptions:
    """Options of the refiner spn."""

    weights: str = "shipped"
    """The trained network: shipped (the one of the package), or a file of vostrack train spn."""

    backbone: str = "shipped"
    """The foreground network whose backbone a light network was trained on: shipped, or the file
    that was given to vostrack train spn as --weights."""
