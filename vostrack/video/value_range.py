"""How 16-bit values become 8-bit ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.video.frames import logger

__all__ = ["ValueRange", "check_range"]

_FULL = (0, 65535)
# A first frame that spans less than this keeps fewer than 64 of 256 levels.
_NARROW = 16384


def check_range(text: str) -> tuple[int, int] | None:
    """Return the numbers of ``"min,max"``; None for ``"auto"`` and ``"full"``.

    Raises:
        InputError: it is none of these.
    """
    if text in ("auto", "full"):
        return None
    found = re.fullmatch(r"\s*(-?\d{1,10})\s*,\s*(-?\d{1,10})\s*", text)
    if found is None or int(found[1]) >= int(found[2]):
        raise InputError(
            f"range: expected auto, full, or two numbers min,max such as 7000,8000, got {text!r}"
        )
    return int(found[1]), int(found[2])


@dataclass(frozen=True)
class ValueRange:
    """A linear map of values to 0..255. Values outside are cut.

    Attributes:
        low: the value that becomes 0.
        high: the value that becomes 255.
    """

    low: int
    high: int

    @classmethod
    def choose(cls, text: str, first: np.ndarray[Any, Any], name: str) -> ValueRange:
        """Choose the range of a source, and log it.

        Args:
            text: ``"auto"``, ``"full"`` or ``"min,max"``. "auto" is the range of the first frame
                where this is narrow, as of a thermal camera with 14 bits, else the full one.
            first: the first frame, integers.
            name: name of the source in the message.

        Raises:
            InputError: ``text`` is something else.
        """
        numbers = check_range(text)
        low, high = int(first.min()), int(first.max())
        if numbers is not None:
            chosen = cls(*numbers)
        elif text == "auto" and low < high < low + _NARROW:
            chosen = cls(low, high)
        else:
            chosen = cls(*_FULL)
        logger.log(
            20 if chosen.full else 30,
            "%s: 16-bit values %d to %d become 0 to 255 (range: %s); the first frame has %d to %d",
            name,
            chosen.low,
            chosen.high,
            text,
            low,
            high,
        )
        return chosen

    @property
    def full(self) -> bool:
        """Whether this is 0 to 65535."""
        return (self.low, self.high) == _FULL

    def apply(self, values: np.ndarray[Any, Any]) -> UInt8Array:
        """Map integers of any shape to uint8."""
        span = self.high - self.low
        shifted = np.clip(values.astype(np.int64), self.low, self.high) - self.low
        mapped: UInt8Array = ((shifted * 255 + span // 2) // span).astype(np.uint8)
        return mapped
