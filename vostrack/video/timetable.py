"""The display times of decoded pictures, from clocks that may jump or run backwards."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from statistics import median_low

__all__ = ["is_continuous", "timetable"]

# FFmpeg's dts_delta_threshold: a longer jump is a new clock where formats may restart theirs.
_JUMP_SECONDS = 10


def is_continuous(stamps: Sequence[int], tick: Fraction, *, restarts: bool) -> bool:
    """Tell whether times ascend, without a jump to another clock.

    Args:
        stamps: times in ticks, in display order.
        tick: duration of a tick in seconds.
        restarts: whether the format allows a clock that starts anew, as MPEG-TS does.
    """
    longest = Fraction(_JUMP_SECONDS) / tick if restarts else None
    return all(b - a > 0 and (longest is None or b - a <= longest) for a, b in pairwise(stamps))


def timetable(
    stamps: Sequence[int | None],
    tick: Fraction,
    rate: Fraction,
    *,
    restarts: bool,
    guessed: bool = False,
) -> list[Fraction]:
    """Return the time of every picture in seconds since the first.

    Where the clock runs backwards or starts anew, the gap cannot be known: the next picture
    follows after the usual duration of one.

    Args:
        stamps: times in ticks, in the order in which the decoder shows the pictures.
        tick: duration of a tick in seconds.
        rate: pictures per second according to the header, for pictures without times.
        restarts: whether the format allows a clock that starts anew.
        guessed: the times are of packets in decoding order, as in AVI files, so that the right
            ones are given to the wrong pictures.
    """
    known = [stamp for stamp in stamps if stamp is not None]
    by_rate = [number / rate for number in range(len(stamps))]
    if not known or len(known) < len(stamps):
        return by_rate
    if guessed:
        if len(set(known)) < len(known):
            return by_rate
        known.sort()
    if is_continuous(known, tick, restarts=restarts):
        return [(stamp - known[0]) * tick for stamp in known]
    return _mended(_without_glitches(known), tick, rate, restarts=restarts)


def _mended(
    stamps: Sequence[Fraction], tick: Fraction, rate: Fraction, *, restarts: bool
) -> list[Fraction]:
    """Let the times go on where the clock runs backwards or jumps."""
    deltas = [b - a for a, b in pairwise(stamps)]
    longest = _JUMP_SECONDS / tick
    good = [d for d in deltas if d > 0 and (not restarts or d <= longest)]
    usual = median_low(good) if good else 1 / (rate * tick)
    times = [Fraction(0)]
    for delta in deltas:
        sound = delta > 0 and (not restarts or delta <= longest)
        times.append(times[-1] + (delta if sound else usual) * tick)
    return times


def _without_glitches(stamps: Sequence[int]) -> list[Fraction]:
    """Move a time that repeats the one before, or lies before it, to the middle of its place.

    Recorders write a time twice; behind damage, a picture may come after those that follow it. The
    clock is right again with the next picture. Where it was set back, the pictures after it go on
    in usual steps instead.
    """
    steps = [b - a for a, b in pairwise(stamps) if b > a]
    usual = median_low(steps) if steps else 0
    found = [Fraction(stamp) for stamp in stamps]
    for number in range(1, len(stamps) - 1):
        before, stamp, after = stamps[number - 1 : number + 2]
        leaps = stamp == before or after - stamp > 1.5 * usual
        if stamp <= before < after and leaps:
            found[number] = Fraction(before + after, 2)
    return found
