"""The refiners by name: one entry each for ``TrackerOptions.refiner`` and ``--refiner``.

This module loads no torch; a refiner's code is loaded when it is built. To add a refiner to the
package, add a folder with its options and its builder, and its entry to ``REFINERS``. Other
distributions add theirs by an entry point.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vostrack.checks import OptionValue
from vostrack.refine.dense_crf.options import DenseCrfOptions, SampledCrfConfig
from vostrack.refine.spn.options import SpnOptions
from vostrack.registry import PartRegistry

if TYPE_CHECKING:
    import torch

    from vostrack.protocols import Refiner

__all__ = ["REFINERS", "RefinerEntry", "build_refiner"]


@dataclass(frozen=True)
class RefinerEntry:
    """A way to refine score maps. A plug-in's entry point refers to one of these."""

    options: type[Any]
    """Frozen dataclass of its options: every field has a default and a plain type (number, bool,
    str, Path, Literal or None) and is described by the text under it. The command line makes the
    flag ``--NAME-FIELD`` of each."""

    build: Callable[[Any, torch.device], Refiner]
    """Makes the refiner out of its options, on a device."""


def _sampled_crf(options: SampledCrfConfig, device: torch.device) -> Refiner:
    from vostrack.refine.dense_crf.sampled import SampledCrfRefiner

    return SampledCrfRefiner(options)


def _dense_crf(options: DenseCrfOptions, device: torch.device) -> Refiner:
    from vostrack.refine.dense_crf.score_refiner import build_dense_crf

    return build_dense_crf(options)


def _spn(options: SpnOptions, device: torch.device) -> Refiner:
    from vostrack.refine.spn.weights import build_spn

    return build_spn(options, device)


REFINERS: PartRegistry[RefinerEntry] = PartRegistry(
    "refiner",
    {
        "sampled-crf": RefinerEntry(SampledCrfConfig, _sampled_crf),
        "dense-crf": RefinerEntry(DenseCrfOptions, _dense_crf),
        "spn": RefinerEntry(SpnOptions, _spn),
    },
    RefinerEntry,
)
"""Every refiner but ``none``, plug-ins of the group ``vostrack.refiners`` included."""


def build_refiner(
    name: str, options: Mapping[str, OptionValue], device: torch.device
) -> Refiner | None:
    """Build the refiner of that name; None for ``none``.

    Args:
        name: one of ``REFINERS``, or ``none``.
        options: fields of its options that are not left at their defaults.
        device: where networks run.

    Raises:
        InputError: as ``REFINERS.settings`` and ``REFINERS.build``.
    """
    settings = REFINERS.settings(name, options)
    if settings is None:
        return None
    built: Refiner = REFINERS.build(name, settings, device)
    return built
