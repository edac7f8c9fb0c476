"""The refiners by name: one entry each for ``TrackerOptions.refiner`` and ``--refiner``.

This module loads no torch; a refiner's code is loaded when it is built. To add a refiner, add a
folder with its options and its builder, its name to ``RefinerName`` and its entry to ``REFINERS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from vostrack.checks import OptionValue, checked_options
from vostrack.errors import InputError
from vostrack.refine.dense_crf.options import DenseCrfOptions, SampledCrfConfig
from vostrack.refine.spn.options import SpnOptions

if TYPE_CHECKING:
    import torch

    from vostrack.protocols import Refiner

__all__ = ["REFINERS", "RefinerEntry", "RefinerName", "build_refiner", "refiner_settings"]

RefinerName = Literal["none", "sampled-crf", "dense-crf", "spn"]


@dataclass(frozen=True)
class RefinerEntry:
    """A way to refine score maps."""

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


REFINERS: dict[str, RefinerEntry] = {
    "sampled-crf": RefinerEntry(SampledCrfConfig, _sampled_crf),
    "dense-crf": RefinerEntry(DenseCrfOptions, _dense_crf),
    "spn": RefinerEntry(SpnOptions, _spn),
}
"""Every refiner but ``none``."""


def refiner_settings(name: str, options: Mapping[str, OptionValue]) -> Any:
    """Return the options of a refiner, those that are not given at their defaults.

    Args:
        name: one of ``REFINERS``, or ``none``.
        options: fields of its options.

    Returns:
        An instance of its options; None for ``none``.

    Raises:
        InputError: no refiner of that name, no option of that name, or a value out of its range.
    """
    if name == "none":
        if options:
            raise InputError(
                "refiner_options: there is no refiner to take them; choose one with `refiner`, or "
                "leave `refiner_options` out"
            )
        return None
    if name not in REFINERS:
        raise InputError(f"refiner: expected one of none, {', '.join(REFINERS)}, got {name!r}")
    return checked_options(REFINERS[name].options, options, f"refiner_options: {name}")


def build_refiner(
    name: str, options: Mapping[str, OptionValue], device: torch.device
) -> Refiner | None:
    """Build the refiner of that name; None for ``none``.

    Args:
        name: one of ``REFINERS``, or ``none``.
        options: fields of its options that are not left at their defaults.
        device: where networks run.

    Raises:
        InputError: as ``refiner_settings``, or a file does not hold what it should.
    """
    settings = refiner_settings(name, options)
    return None if settings is None else REFINERS[name].build(settings, device)
