"""The proposers by name: one entry each for ``vostrack propose`` and for ``--proposer``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from vostrack.errors import InputError
from vostrack.models.target_net import TargetNet
from vostrack.proposers.components import ForegroundComponents
from vostrack.proposers.detection_crf.build import DetectionCrfOptions, build_detection_crf
from vostrack.proposers.displacement.build import DisplacementOptions, build_displacement
from vostrack.proposers.hough_voting.proposer import HoughOptions, build_hough
from vostrack.proposers.sources import ImageProposer, ProposerSources
from vostrack.protocols import InstanceProposer

__all__ = ["METHODS", "PROPOSERS", "ImageProposer", "Method", "ProposerSources", "build_proposer"]


@dataclass(frozen=True)
class Method:
    """A way to propose instances.

    Attributes:
        options: frozen dataclass of its settings, every field with a default and a plain type
            (number, bool, str, Path, Literal, or None), described in the docstring's Attributes
            section. ``vostrack propose`` makes the flag ``--METHOD-FIELD`` of each.
        build: makes the proposer; with sources of None it must need no more than a foreground.
    """

    options: type[Any]
    build: Callable[[Any, ProposerSources], InstanceProposer]


METHODS: dict[str, Method] = {
    "detection-crf": Method(DetectionCrfOptions, build_detection_crf),
    "displacement": Method(DisplacementOptions, build_displacement),
    "hough": Method(HoughOptions, build_hough),
}
"""What ``vostrack propose --method`` takes."""

PROPOSERS = ("components", *METHODS)
"""What ``--proposer`` takes in the tracker."""


def build_proposer(
    name: str,
    device: torch.device | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    tracked: TargetNet | None = None,
) -> InstanceProposer:
    """Build the proposer of that name, for use in the tracker.

    Args:
        name: one of ``PROPOSERS``.
        device: where networks run; the CPU by default.
        settings: fields of the method's options that are not left at their defaults.
        tracked: the target network that the tracker works with, on ``device``; None where it
            works with another one.

    Raises:
        InputError: there is none, or a setting is out of its range.
    """
    if name == "components":
        return ForegroundComponents()
    if name not in METHODS:
        raise InputError(f"proposer: expected one of {', '.join(PROPOSERS)}, got {name!r}")
    method = METHODS[name]
    sources = ProposerSources(device=device or torch.device("cpu"), tracked=tracked)
    return method.build(method.options(**(settings or {})), sources)
