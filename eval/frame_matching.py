"""Which file of a results folder belongs to which frame of a sequence."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vostrack.file_order import natural_order

__all__ = ["FrameMatch", "match_frames", "shift_by_one"]

_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class FrameMatch:
    """Files of results by the names of the frames they belong to.

    Attributes:
        files: the file of each frame that has one.
        missing: frames without a file, in order.
        surplus: names of files that belong to no frame.
        note: how names were matched, if they are not the names of the frames; "" otherwise.
    """

    files: Mapping[str, Path]
    missing: tuple[str, ...]
    surplus: tuple[str, ...]
    note: str = ""

    @property
    def unexplained(self) -> int:
        """The number of frames without a file and of files without a frame."""
        return len(self.missing) + len(self.surplus)


def match_frames(frames: Sequence[str], found: Mapping[str, Path]) -> FrameMatch:
    """Match the files of a results folder with the frames of a sequence.

    The names decide where they are those of the frames. Otherwise the matching that leaves the
    fewest frames and files without a partner is taken: by number (``frame_0001`` is ``00001``), by
    numbers that are counted from 1 in place of 0 or the reverse, or by a counter for frames that
    are not numbered one by one.

    Args:
        frames: names of the T frames without suffix, in order.
        found: files by their names without suffix.

    Returns:
        The matching; its note says what was done unless the names are the frames'.
    """
    exact = _matched(frames, found, {name: name for name in found})
    if not exact.unexplained or not found:
        return exact
    candidates = [exact]
    theirs, ours = _numbers(list(found)), _numbers(list(frames))
    if theirs and ours:
        names = {number: name for name, number in ours.items()}
        ends = (min(ours.values()), max(ours.values()))
        for shift in (0, 1, -1):
            pairs = {name: names.get(number - shift, "") for name, number in theirs.items()}
            if shift == 0 or _is_shifted(theirs, ends, shift):
                candidates.append(_matched(frames, found, pairs, _note(theirs, ours, pairs, shift)))
    if theirs and len(found) == len(frames) and _is_counter(sorted(theirs.values())):
        in_order = sorted(found, key=natural_order)
        pairs = dict(zip(in_order, frames, strict=True))
        note = (
            f"results are counted ({in_order[0]} to {in_order[-1]}); matched in order with the "
            f"frames {frames[0]} to {frames[-1]}"
        )
        candidates.append(_matched(frames, found, pairs, note))
    return min(candidates, key=lambda match: match.unexplained)


def shift_by_one(frames: Sequence[str], match: FrameMatch) -> FrameMatch:
    """Return the matching in which each file belongs to the frame before its own.

    Args:
        frames: names of the T frames, in order.
        match: a matching without a file of the first frame.
    """
    before = dict(zip(frames[1:], frames, strict=False))
    files = {before[frame]: path for frame, path in match.files.items()}
    note = (
        f"results are numbered from 1: {match.files[frames[1]].name} is the first frame's mask, so "
        f"each was matched with the frame before, {frames[0]} to {frames[-2]}"
    )
    missing = tuple(frame for frame in frames if frame not in files)
    return FrameMatch(files, missing, match.surplus, note)


def _matched(
    frames: Sequence[str], found: Mapping[str, Path], pairs: Mapping[str, str], note: str = ""
) -> FrameMatch:
    known = set(frames)
    files = {pairs[name]: path for name, path in found.items() if pairs.get(name) in known}
    return FrameMatch(
        files,
        tuple(frame for frame in frames if frame not in files),
        tuple(path.name for name, path in found.items() if pairs.get(name) not in known),
        note if files else "",
    )


def _is_shifted(theirs: Mapping[str, int], ends: tuple[int, int], shift: int) -> bool:
    """Tell whether numbers stick out by one at one end of the frames', and not at the other."""
    low, high = min(theirs.values()), max(theirs.values())
    if shift > 0:
        return low > ends[0] and high == ends[1] + 1
    return low == ends[0] - 1 and high < ends[1]


def _is_counter(numbers: Sequence[int]) -> bool:
    return numbers[0] in (0, 1) and numbers[-1] - numbers[0] == len(numbers) - 1


def _note(
    theirs: Mapping[str, int], ours: Mapping[str, int], pairs: Mapping[str, str], shift: int
) -> str:
    example = next((name for name in theirs if pairs[name] in ours), "")
    if not example:
        return ""
    if shift:
        first, other = (1, 0) if shift > 0 else (0, 1)
        return (
            f"results are numbered from {first} and frames from {other}; {example} was matched "
            f"with frame {pairs[example]}, and so on"
        )
    return f"matched by number: {example} with frame {pairs[example]}, and so on"


def _numbers(names: Sequence[str]) -> dict[str, int]:
    """Return the number of each name: its last digits that tell it from the others.

    Returns:
        The numbers, or nothing if a name has none, or two names have the same.
    """
    runs = [[int(run) for run in _DIGITS.findall(name)] for name in names]
    length = min((len(run) for run in runs), default=0)
    for place in range(1, length + 1):
        numbers = [run[-place] for run in runs]
        if len(set(numbers)) == len(numbers):
            return dict(zip(names, numbers, strict=True))
    return {}
