"""Which objects are lost, or followed where they are not: looks, presence and areas over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from vostrack.arrays import FloatArray

__all__ = ["Look", "Sight", "kept_in_sight", "watched"]

# Frames over which the usual match of an object is measured.
_MEASURED = 5
# A match that is below 0, and this much below the usual one, for so many frames, is strange.
_STRANGE, _PATIENCE = 0.12, 3

# A mask of less than this share of the usual area, with a presence below this, is a remnant.
_REMNANT, _PRESENT = 0.3, 0.5
# Weight of the newest frame in the usual area.
_AREA_SHARE = 0.05


@dataclass(frozen=True)
class Sight:
    """How much is seen of an object.

    Attributes:
        usual: running mean of its area while most of it is seen, pixels.
        weak: for how many frames no more than a remnant has been seen.
    """

    usual: float = 0.0
    weak: int = 0

    @property
    def over(self) -> bool:
        """Whether the remnant should be let go, so that the object is searched everywhere."""
        return self.weak >= _PATIENCE

    def seen(self, area: float, presence: float) -> Sight:
        """Return the sight after a frame with this area and presence."""
        if 0 < area < _REMNANT * self.usual and presence < _PRESENT:
            return replace(self, weak=self.weak + 1)
        usual = self.usual or area
        if area >= _REMNANT * usual:
            usual += _AREA_SHARE * (area - usual)
        return Sight(usual)

    def state_dict(self) -> dict[str, Any]:
        """Return the attributes by name."""
        return asdict(self)


def kept_in_sight(
    sights: Sequence[Sight], areas: Sequence[float], presence: Sequence[float]
) -> tuple[Sight, ...]:
    """Return the sights after a frame with these areas, pixels, and presences in [0, 1]."""
    return tuple(
        sight.seen(area, there) for sight, area, there in zip(sights, areas, presence, strict=True)
    )


@dataclass(frozen=True)
class Look:
    """How an object matches its given masks.

    Attributes:
        usual: mean match of the first frames, as a cosine.
        measured: number of these frames so far.
        strange: for how many frames it has been unlike itself, or out of sight.
    """

    usual: float = 0.0
    measured: int = 0
    strange: int = 0

    @property
    def doubtful(self) -> bool:
        """Whether the object should be searched for."""
        return self.strange >= _PATIENCE

    def state_dict(self) -> dict[str, Any]:
        """Return the attributes by name."""
        return asdict(self)


def watched(looks: Sequence[Look], match: FloatArray) -> tuple[Look, ...]:
    """Return the looks after a frame.

    Args:
        looks: before it.
        match: (N,) of where each object is now; NaN where it is out of sight.
    """
    return tuple(_watched(look, float(value)) for look, value in zip(looks, match, strict=True))


def _watched(look: Look, match: float) -> Look:
    if np.isnan(match):
        return replace(look, strange=look.strange + 1)
    if look.measured < _MEASURED:
        usual = (look.usual * look.measured + match) / (look.measured + 1)
        return Look(usual, look.measured + 1)
    odd = match < min(0.0, look.usual - _STRANGE)
    return replace(look, strange=look.strange + 1 if odd else 0)
