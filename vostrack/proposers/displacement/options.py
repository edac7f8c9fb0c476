"""The options of the proposer ``displacement``. This module loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from vostrack.proposers.settings import Setting, SettingValues

__all__ = ["DisplacementOptions"]


@dataclass(frozen=True)
class DisplacementOptions:
    """Options of the proposer displacement."""

    SETTINGS: ClassVar[SettingValues] = {
        "default": {},
        "paper": {
            "longest": 512,
            "pieces": False,
            "merge": False,
            "edges": "walk",
            "split": True,
            "half_score": 0.0,
        },
        "fast": {"longest": 192, "boundaries": False},
    }

    weights: Path | None = None
    """Network of vostrack train siseg. Default: the one of the package."""

    longest: int = 320
    """Label maps are scaled to this length of their longer side, pixels."""

    pieces: bool = True
    """Search instances in each connected piece of a class by itself. Off: in the whole class."""

    merge: bool = True
    """Join neighbours unless a boundary lies between them and their centres are apart."""

    boundaries: bool = True
    """Refine the instances with class boundaries and a random walk."""

    edges: Literal["mask", "walk"] = "mask"
    """mask: keep the edges of the semantic mask. walk: draw them by the random walk."""

    split: bool = False
    """Make each connected piece of a result an instance of its own."""

    min_pixels: int = 100
    """Smaller instances are left out, pixels."""

    half_score: float = 0.005
    """An instance that covers this share of the image gets half its score, a smaller one less. 0
    lets small objects score as much as large ones."""

    max_proposals: int = 100
    """Most instances of an image, the best first."""

    save_fields: Path | None = None
    """Folder for a picture of displacement field, centres, boundaries and instances of each
    image."""

    setting: Setting = "default"
    """A set of values for the other options; those that you give replace it. default: what works
    best here. paper: what the paper states. fast: less time, and worse instances."""
