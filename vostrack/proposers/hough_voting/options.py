"""The options of the proposer ``hough``. This module loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from vostrack.proposers.settings import Setting, SettingValues

__all__ = ["HoughOptions"]


@dataclass(frozen=True)
class HoughOptions:
    """Options of the proposer hough."""

    SETTINGS: ClassVar[SettingValues] = {
        "default": {},
        "paper": {
            "by_support": False,
            "regroup": False,
            "overlap": 0.5,
            "min_cells": 20,
            "region_overlap": 0.0,
            "multi_view": True,
        },
        "fast": {"top": 1, "floor": 0.2},
    }

    localizer: str = "shipped"
    """What predicts the box that a pixel votes for. shipped: the network of the package, which goes
    by the shapes of the masks. none: the connected component that the pixel lies in, so that
    objects of a class that touch stay one. Or a file: a light head (train mask-localizer, train
    localizer) or a localisation FCRN (train fcrn --task localization)."""

    top: int = 2
    """n of the top-n masks: the k-th mask of a class holds the pixels where the class is among the
    k most probable. At least 1."""

    floor: float = 0.05
    """Pixels with a lower probability of a class do not vote for it, 0 to 1."""

    overlap: float = 0.35
    """Boxes with a higher intersection over union vote for the same instance, 0 to 1."""

    by_support: bool = True
    """Let clusters grow first from the votes whose centres many others share. Off: from the pixels
    with the highest scores."""

    regroup: bool = True
    """Join clusters whose mean boxes overlap more than that, and let every pixel choose again."""

    min_cells: int = 6
    """Instances with fewer votes are dropped. A vote is a cell of 8 x 8 pixels."""

    region_overlap: float = 0.3
    """Of two instances of a class, the weaker is dropped when the stronger holds more than this
    share of it, 0 to 1."""

    multi_view: bool = False
    """Average the semantic network, and a localisation FCRN, over three scales and their mirror
    images."""

    save_votes: Path | None = None
    """Folder for drawings of the votes, the accumulator and the instances of each image."""

    setting: Setting = "default"
    """A set of values for the other options; those that you give replace it. default: what works
    best here. paper: what the paper states. fast: less time, and worse instances."""
