"""The proposers by name: one entry each for ``vostrack propose`` and for the tracker.

This module loads no torch; a proposer's code is loaded when it is built. To add a proposer, add a
folder with its options and its builder, its name to ``ProposerName`` and its entry to ``METHODS``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from vostrack.checks import OptionValue, checked_options
from vostrack.errors import InputError
from vostrack.proposers.components import ComponentsOptions, ForegroundComponents
from vostrack.proposers.detection_crf.options import DetectionCrfOptions
from vostrack.proposers.displacement.options import DisplacementOptions
from vostrack.proposers.hough_voting.options import HoughOptions

if TYPE_CHECKING:
    import torch

    from vostrack.models.target_net import TargetNet
    from vostrack.proposers.sources import ProposerSources
    from vostrack.protocols import InstanceProposer

__all__ = [
    "METHODS",
    "PROPOSERS",
    "Method",
    "ProposerName",
    "build_proposer",
    "proposer_settings",
]

_log = logging.getLogger("vostrack.proposers")

ProposerName = Literal["none", "components", "detection-crf", "displacement", "hough"]


@dataclass(frozen=True)
class Method:
    """A way to propose instances."""

    options: type[Any]
    """Frozen dataclass of its options: every field has a default and a plain type (number, bool,
    str, Path, Literal or None) and is described by the text under it. The command line makes the
    flag ``--NAME-FIELD`` of each."""

    build: Callable[[Any, ProposerSources], InstanceProposer]
    """Makes the proposer. In the tracker the sources hold nothing but the device and the tracked
    network: it must then need no more than a foreground."""


def _components(options: ComponentsOptions, sources: ProposerSources) -> InstanceProposer:
    return ForegroundComponents(options)


def _detection_crf(options: DetectionCrfOptions, sources: ProposerSources) -> InstanceProposer:
    from vostrack.proposers.detection_crf.build import build_detection_crf

    return build_detection_crf(options, sources)


def _displacement(options: DisplacementOptions, sources: ProposerSources) -> InstanceProposer:
    from vostrack.proposers.displacement.build import build_displacement

    return build_displacement(options, sources)


def _hough(options: HoughOptions, sources: ProposerSources) -> InstanceProposer:
    from vostrack.proposers.hough_voting.proposer import build_hough

    return build_hough(options, sources)


METHODS: dict[str, Method] = {
    "detection-crf": Method(DetectionCrfOptions, _detection_crf),
    "displacement": Method(DisplacementOptions, _displacement),
    "hough": Method(HoughOptions, _hough),
}
"""What ``vostrack propose --method`` takes: proposers that can do without a foreground."""

PROPOSERS: dict[str, Method] = {"components": Method(ComponentsOptions, _components), **METHODS}
"""What the tracker can use; every proposer but ``none``."""


def proposer_settings(name: str, options: Mapping[str, OptionValue]) -> Any:
    """Return the options of a proposer, those that are not given at their defaults.

    Args:
        name: one of ``PROPOSERS``, or ``none``.
        options: fields of its options.

    Returns:
        An instance of its options; None for ``none``.

    Raises:
        InputError: no proposer of that name, no option of that name, or a value out of its range.
    """
    if name == "none":
        if options:
            raise InputError(
                "proposer_options: there is no proposer to take them; choose one with `proposer`, "
                "or leave `proposer_options` out"
            )
        return None
    if name not in PROPOSERS:
        raise InputError(f"proposer: expected one of none, {', '.join(PROPOSERS)}, got {name!r}")
    return checked_options(PROPOSERS[name].options, options, f"proposer_options: {name}")


def build_proposer(
    name: str,
    device: torch.device | None = None,
    *,
    options: Mapping[str, OptionValue] | None = None,
    tracked: TargetNet | None = None,
) -> InstanceProposer | None:
    """Build the proposer of that name for use in the tracker; None for ``none``.

    Args:
        name: one of ``PROPOSERS``, or ``none``.
        device: where networks run; the CPU by default.
        options: fields of its options that are not left at their defaults.
        tracked: the target network that the tracker works with, on ``device``; None where it
            works with another one.

    Raises:
        InputError: as ``proposer_settings``, or a file does not hold what it should.
    """
    import torch

    from vostrack.proposers.sources import FeatureReader, ProposerSources

    settings = proposer_settings(name, options or {})
    if settings is None:
        return None
    sources = ProposerSources(device=device or torch.device("cpu"), tracked=tracked)
    proposer = PROPOSERS[name].build(settings, sources)
    if isinstance(proposer, FeatureReader) and not proposer.reads_features_of(tracked):
        _log.info(
            "%s: its network was not trained on features that the tracker computes; it takes a "
            "pass of its own backbone for every frame with a lost object",
            name,
        )
    return proposer
