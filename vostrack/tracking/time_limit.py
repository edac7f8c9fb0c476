"""Which optional stages are left out to keep within a time limit."""

from __future__ import annotations

from collections.abc import Mapping

from vostrack.tracking.frame_loop import TrackerParts
from vostrack.tracking.parts import SkipsStages

__all__ = ["stages_to_skip", "updated_means"]

# Weight of the newest frame in the expected seconds of a stage.
_SHARE = 0.3
# The mirrored pass is about half of the networks' time.
_MIRROR = 0.5


def stages_to_skip(
    parts: TrackerParts, expected: Mapping[str, float], max_ms: float | None
) -> tuple[str, ...]:
    """Choose the stages to leave out, in the order ``refiner``, ``proposer``, ``mirror``.

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
    found = {}
    if parts.refiner is not None:
        found["refiner"] = expected.get("refiner", 0.0)
    if parts.proposer is not None:
        found["proposer"] = expected.get("filter", 0.0)
    if isinstance(parts.adapter, SkipsStages):
        for stage in parts.adapter.optional_stages():
            found[stage] = _MIRROR * expected.get("networks", 0.0)
    return found


def updated_means(expected: Mapping[str, float], seconds: Mapping[str, float]) -> dict[str, float]:
    """Return the mean seconds of each stage with a further frame in them."""
    means = dict(expected)
    for stage, value in seconds.items():
        means[stage] = means.get(stage, value) + _SHARE * (value - means.get(stage, value))
    return means
