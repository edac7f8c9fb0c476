"""Pictures that are missing from a transport stream, though nothing in it is damaged.

A recorder that loses its signal for a moment, or a network, leaves out packets. Where these are
whole pictures, the rest decodes without an error, and only two traces remain: the times of the
pictures, and the counters of the packets (ISO/IEC 13818-1, 2.4.3.3), which go from 0 to 15.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median_low

import numpy as np

from vostrack.arrays import IntArray, UInt8Array
from vostrack.video.frames import logger

__all__ = ["Gap", "gaps_in", "is_steady", "missing_pictures", "packets_are_lost"]

_PACKET, _SYNC, _NULL = 188, 0x47, 0x1FFF
# Packets of Blu-ray and AVCHD begin with 4 bytes of their own.
_FORMS = ((188, 0), (192, 4))
_CHUNK = 1 << 15
# A step in time is a gap from this multiple of the usual step on.
_LONG = 1.6
# A rate is steady if so many steps between gaps are equal, to this fraction of a step.
_STEPS_PER_GAP = 48
_EQUAL = 0.02
# So many places are named.
_NAMED = 6


@dataclass(frozen=True)
class Gap:
    """A place where pictures are missing.

    Attributes:
        number: of the picture behind it.
        time: of the first missing picture, in seconds after the first picture.
        pictures: how many are missing.
    """

    number: int
    time: float
    pictures: int


def missing_pictures(path: Path, times: Sequence[Fraction], chosen: range) -> tuple[float, ...]:
    """Warn of pictures that are missing from a transport stream.

    A long step in time alone is none: the rate may be variable. Lost packets show it, and so does a
    rate that is steady but for few gaps.

    Args:
        path: the file.
        times: of its pictures, in seconds, ascending.
        chosen: the numbers of the pictures that are read.

    Returns:
        The times of the gaps, in seconds.
    """
    gaps = [gap for gap in gaps_in(times) if chosen.start < gap.number < chosen.stop]
    if not gaps or not (packets_are_lost(path) or is_steady(times)):
        return ()
    places = ", ".join(f"{gap.pictures} at {gap.time:.2f} s" for gap in gaps[:_NAMED])
    more = ", ..." * (len(gaps) > _NAMED)
    logger.warning(
        "%s: pictures are missing: %s%s; the masks go on with the next picture", path, places, more
    )
    return tuple(round(gap.time, 3) for gap in gaps)


def gaps_in(times: Sequence[Fraction]) -> tuple[Gap, ...]:
    """Find steps that are much longer than usual, as in a video of constant rate with holes.

    Args:
        times: of the pictures, in seconds, ascending.
    """
    steps = [b - a for a, b in pairwise(times)]
    usual = median_low(steps) if steps else Fraction(0)
    if usual <= 0:
        return ()
    return tuple(
        Gap(number, float(times[number - 1] + usual), round(step / usual) - 1)
        for number, step in enumerate(steps, start=1)
        if step > _LONG * usual
    )


def is_steady(times: Sequence[Fraction]) -> bool:
    """Tell whether all steps are equal, but for few gaps of whole steps.

    Times of a variable rate are not so, unless the encoder left out equal pictures once or twice.
    """
    steps = [b - a for a, b in pairwise(times)]
    usual = median_low(steps) if steps else Fraction(0)
    if usual <= 0:
        return False
    counts = [step / usual for step in steps]
    whole = all(abs(count - round(count)) <= _EQUAL and round(count) > 0 for count in counts)
    long = sum(round(count) > 1 for count in counts)
    return whole and long * _STEPS_PER_GAP <= len(steps)


def packets_are_lost(path: Path) -> bool:
    """Tell whether the counters of an MPEG transport stream jump.

    The file is read once; False if it is not a transport stream.
    """
    with path.open("rb") as file:
        head = file.read(_PACKET * 8)
        form = next((f for f in _FORMS if _is_stream(head, *f)), None)
        if form is None:
            return False
        size, offset = form
        file.seek(0)
        last = np.full(1 << 13, -1, np.int64)
        while data := file.read(size * _CHUNK):
            whole = np.frombuffer(data, np.uint8, len(data) // size * size).reshape(-1, size)
            if _jumps(whole[:, offset:], last):
                return True
    return False


def _is_stream(head: bytes, size: int, offset: int) -> bool:
    return len(head) > offset and all(byte == _SYNC for byte in head[offset::size])


def _jumps(packets: UInt8Array, last: IntArray) -> bool:
    """Tell whether a counter jumps, and note the last counter of each stream in ``last``."""
    if (packets[:, 0] != _SYNC).any():
        return True
    numbers = (packets[:, 1] & 0x1F).astype(np.int64) << 8 | packets[:, 2]
    field = packets[:, 3] & 0x20 > 0
    announced = field & (packets[:, 4] > 0) & (packets[:, 5] & 0x80 > 0)
    # The counter goes on with packets that carry data.
    counted = (packets[:, 3] & 0x10 > 0) & (numbers != _NULL)
    for number in np.unique(numbers[counted]):
        place = counted & (numbers == number)
        counters = (packets[place, 3] & 0x0F).astype(np.int64)
        before = np.concatenate(([last[number]], counters[:-1]))
        steps = (counters - before) % 16
        # A packet may be sent twice.
        wrong = (steps > 1) & (before >= 0) & ~announced[place]
        if wrong.any():
            return True
        last[number] = counters[-1]
    return False
