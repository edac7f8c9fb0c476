"""Which objects are lost, or followed where they are not: their looks are compared over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from vostrack.arrays import FloatArray

__all__ = ["Look", "watched"]

# Frames over which the usual match of an object is measured.
_MEASURED = 5
# A match that is below 0, and this much below the usual one, for so many frames, is strange.
_STRANGE, _PATIENCE = 0.12, 3


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
