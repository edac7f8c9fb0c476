"""Which optional stages are left out to keep within a time limit."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol, runtime_checkable

from vostrack.tracking.frame_loop import TrackerParts
from vostrack.tracking.parts import SkipsStages

__all__ = ["CarriesMasks", "stages_to_skip", "updated_means"]

# Weight of the newest frame in the expected seconds of a stage.
_SHARE = 0.3
# Stages that take less time in frames that the networks do not see.
_OF_NETWORKS = ("networks", "memory")


@runtime_checkable
class CarriesMasks(Protocol):
    """Object models that need not see every frame."""

    def carried(self) -> bool:
        """Tell whether the masks of the frame scored last were found without the networks."""


def stages_to_skip(
    parts: TrackerParts, expected: Mapping[str, float], max_ms: float | None
) -> tuple[str, ...]:
    """Choose the stages to leave out: those of the object models, the refiner, the proposer.

    What costs the masks least goes first. On four training sequences J&F fell by 0.002 without the
    flow and by 0.015 without the refiner; the mirrored view gained nothing
    (docs/results/training.md).

    Args:
        parts: of the tracker.
        expected: mean seconds of each stage in earlier frames that had it; empty before these.
        max_ms: time for the frame in milliseconds; None for any.

    Returns:
        The names of the stages.
    """
    if max_ms is None or not expected:
        return ()
    total, skipped = sum(expected.values()) * 1000, []
    for stage, seconds in _optional(parts, expected).items():
        if total <= max_ms:
            break
        total -= seconds * 1000
        skipped.append(stage)
    return tuple(skipped)


def _optional(parts: TrackerParts, expected: Mapping[str, float]) -> dict[str, float]:
    """Return the seconds that leaving out each optional stage saves, in order."""
    networks = expected.get("networks", 0.0)
    found = {stage: share * networks for stage, share in _shares(parts).items()}
    if parts.refiner is not None:
        found["refiner"] = expected.get("refiner", 0.0)
    if parts.proposer is not None:
        found["proposer"] = expected.get("filter", 0.0)
    return found


def _shares(parts: TrackerParts) -> Mapping[str, float]:
    """Return the optional stages of the object models, as shares of the networks' time."""
    return parts.adapter.optional_stages() if isinstance(parts.adapter, SkipsStages) else {}


def updated_means(
    parts: TrackerParts,
    expected: Mapping[str, float],
    seconds: Mapping[str, float],
    skipped: Collection[str],
) -> dict[str, float]:
    """Return the mean seconds of each stage, all of it done, with a further frame in them.

    Args:
        parts: of the tracker.
        expected: the means before this frame.
        seconds: of the stages of this frame.
        skipped: the stages that it left out.

    Returns:
        The new means.
    """
    carried = isinstance(parts.adapter, CarriesMasks) and parts.adapter.carried()
    left = 1 - sum(share for stage, share in _shares(parts).items() if stage in skipped)
    means = dict(expected)
    for stage, taken in seconds.items():
        if carried and stage in _OF_NETWORKS:
            continue
        value = taken / left if stage == "networks" else taken
        means[stage] = means.get(stage, value) + _SHARE * (value - means.get(stage, value))
    return means
