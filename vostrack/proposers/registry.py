"""The proposers by name: one entry each for ``vostrack propose`` and for the tracker.

This module loads no torch; a proposer's code is loaded when it is built. To add a proposer to the
package, add a folder with its options and its builder, and its entry to ``PROPOSERS``. Other
distributions add theirs by an entry point.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vostrack.checks import OptionValue
from vostrack.proposers.components import ComponentsOptions, ForegroundComponents
from vostrack.proposers.detection_crf.options import DetectionCrfOptions
from vostrack.proposers.displacement.options import DisplacementOptions
from vostrack.proposers.hough_voting.options import HoughOptions
from vostrack.registry import PartRegistry, usable

if TYPE_CHECKING:
    import torch

    from vostrack.models.target_net import TargetNet
    from vostrack.proposers.sources import ProposerSources
    from vostrack.protocols import InstanceProposer

__all__ = ["PROPOSERS", "ProposerEntry", "build_proposer", "image_proposers"]

_log = logging.getLogger("vostrack.proposers")


@dataclass(frozen=True)
class ProposerEntry:
    """A way to propose instances. A plug-in's entry point refers to one of these."""

    options: type[Any]
    """Frozen dataclass of its options: every field has a default and a plain type (number, bool,
    str, Path, Literal or None) and is described by the text under it. The command line makes the
    flag ``--NAME-FIELD`` of each."""

    build: Callable[[Any, ProposerSources], InstanceProposer]
    """Makes the proposer. In the tracker the sources hold nothing but the device and the tracked
    network: it must then need no more than a foreground."""

    needs_foreground: bool = False
    """Whether it can work in a tracker with a foreground model only, not on images alone."""


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


PROPOSERS: PartRegistry[ProposerEntry] = PartRegistry(
    "proposer",
    {
        "components": ProposerEntry(ComponentsOptions, _components, needs_foreground=True),
        "detection-crf": ProposerEntry(DetectionCrfOptions, _detection_crf),
        "displacement": ProposerEntry(DisplacementOptions, _displacement),
        "hough": ProposerEntry(HoughOptions, _hough),
    },
    ProposerEntry,
)
"""Every proposer but ``none``, plug-ins of the group ``vostrack.proposers`` included."""


def image_proposers() -> dict[str, ProposerEntry]:
    """Return what ``vostrack propose --method`` takes: proposers that need no foreground.

    A plug-in that cannot be imported is left out, with a warning.
    """
    return {k: entry for k, entry in usable(PROPOSERS) if not entry.needs_foreground}


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
        InputError: as ``PROPOSERS.settings`` and ``PROPOSERS.build``.
    """
    import torch

    from vostrack.proposers.sources import FeatureReader, ProposerSources

    settings = PROPOSERS.settings(name, options or {})
    if settings is None:
        return None
    sources = ProposerSources(device=device or torch.device("cpu"), tracked=tracked)
    proposer: InstanceProposer = PROPOSERS.build(name, settings, sources)
    if isinstance(proposer, FeatureReader) and not proposer.reads_features_of(tracked):
        _log.info(
            "%s: its network was not trained on features that the tracker computes; it takes a "
            "pass of its own backbone for every frame with a lost object",
            name,
        )
    return proposer
