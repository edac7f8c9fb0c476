"""Which frame a mask belongs to, as far as file names tell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from vostrack.arrays import BoolArray
from vostrack.errors import InputError

__all__ = ["VideoFrames", "frame_number", "last_number", "names_frames", "place"]

_NUMBER = re.compile(r"(?<![0-9])([0-9]{1,9})(?![0-9])")
_FRAME_WORD = re.compile(r"(?:^|[^a-z])(?:frame|frm|img|image)s?[ ._-]*$")
_OBJECT_WORD = re.compile(
    r"(?:^|[^a-z])(?:obj|object|inst|instance|id|person|class|label|layer|part|roi|segment)"
    r"[ ._#-]*$"
)
_KEY_FRAME_GAP = 10
_SAME_OBJECT = 0.3


@dataclass(frozen=True)
class VideoFrames:
    """The frames of the video that a mask may belong to.

    Attributes:
        numbers: the number of each selected frame, as ``first_mask_frame`` takes it.
        named: whether the numbers come from the names of image files; otherwise frames are counted
            from 0.
        asked: ``first_mask_frame`` as the user gave it; None for the first frame.
        whole: the numbers of all frames of the video, in order, also of those that are not
            selected; empty if the selected ones are all.
    """

    numbers: Sequence[int] = ()
    named: bool = False
    asked: int | None = None
    whole: Sequence[int] = ()

    @property
    def wanted(self) -> int | None:
        """The number of the frame to track from; None if unknown."""
        if self.asked is not None:
            return self.asked
        return self.numbers[0] if len(self.numbers) else None

    @property
    def selected(self) -> str:
        """The selected frames in words; there is at least one."""
        shown = [str(number) for number in self.numbers[:3]]
        more = len(self.numbers) > 3
        return ", ".join([*shown[:2], "...", str(self.numbers[-1])] if more else shown)

    def leaves_out(self, number: int, *, exact: bool = False) -> bool:
        """Tell whether a number is that of a frame of the video that is not selected.

        Args:
            number: of a frame.
            exact: whether frames are certainly counted as in the video. Otherwise 0 and 1 may mean
                the first of the selected frames.
        """
        if not len(self.numbers) or number in self.numbers:
            return False
        if self.named:
            every = self.whole or self.numbers
            return min(every) <= number <= max(every)
        return (0 if exact else 2) <= number < self.numbers[-1]


def frame_number(name: str) -> int | None:
    """Return the number of the frame that a file name states.

    ``00005.png``, ``mask.1005.png`` and ``frame_5.png`` state a frame; ``m5.png``, ``obj_0005.png``
    and ``v005.png`` do not.

    Args:
        name: a file name, without folders.
    """
    found = _last_number(name)
    if found is None:
        return None
    before, digits = found
    if _OBJECT_WORD.search(before):
        return None
    alone = not before and Path(name).stem == digits
    if len(digits) >= 4 or alone or _FRAME_WORD.search(before):
        return int(digits)
    return None


def place(name: str, frames: VideoFrames) -> tuple[int | None, tuple[str, ...]]:
    """Decide which frame a single mask file belongs to.

    Args:
        name: its path.
        frames: the frames of the video.

    Returns:
        The number of the frame, or None for the one that the user asked for; and warnings.

    Raises:
        InputError: the user did not ask for a frame, and the name states one that is not selected,
            or another one than the first while frames have no numbers of their own.
    """
    number, numbers = frame_number(Path(name).name), frames.numbers
    if number is None or not len(numbers):
        return None, ()
    if frames.asked is not None:
        if number in (frames.asked, frames.asked + (not frames.named)):
            return None, ()
        return None, (
            f"{name}: named after frame {number}, but used for frame {frames.asked}, because "
            f"`first_mask_frame={frames.asked}` says so",
        )
    first = numbers[0]
    if number == first:
        return None, ()
    if frames.leaves_out(number):
        raise InputError(
            f"{name}: the mask is named after frame {number}, which is not among the selected "
            f"frames {frames.selected}; select it with `start`, `end` and `stride`, or set "
            f"`first_mask_frame={first}` to use the mask for frame {first}"
        )
    if number not in numbers:
        digits = _last_number(Path(name).name)
        padded = digits is not None and len(digits[1]) in range(4, 8)
        return None, (
            f"{name}: named after frame {number}, which is not among the frames {first} to "
            f"{numbers[-1]} of the video; it is used for frame {first}",
        ) * padded
    if frames.named:
        return number, (
            f"{name}: named after frame {number} and used for that frame; the video is tracked "
            "both ways from it",
        )
    if number == first + 1:
        return None, (
            f"{name}: used for frame {first}, as if its name counts from {first + 1}; if it "
            f"belongs to frame {number}, set `first_mask_frame={number}`",
        )
    raise InputError(
        f"{name}: the mask is named after frame {number}, but without `first_mask_frame` it would "
        f"be used for frame {first}; set `first_mask_frame={number}` (frames count from 0; "
        f"subtract 1 if the names of your masks count from 1), or `first_mask_frame={first}`"
    )


def names_frames(names: Sequence[str], masks: Sequence[BoolArray] = ()) -> bool:
    """Tell whether several mask files are those of several frames, not of several objects.

    Args:
        names: the file names, without folders.
        masks: the masks (H, W) of these files, if they have been read.
    """
    if not _numbers_differ(names):
        return False
    found = [_last_number(name) for name in names]
    befores = [pair[0] for pair in found if pair]
    numbers = sorted(int(pair[1]) for pair in found if pair)
    if masks and _overlap(masks) >= _SAME_OBJECT:
        return True
    if _OBJECT_WORD.search(befores[0]):
        return False
    digits = max(len(pair[1]) for pair in found if pair)
    if digits >= 4 or _FRAME_WORD.search(befores[0]):
        return True
    gaps = np.diff(numbers)
    return bool(gaps.max(initial=0) >= _KEY_FRAME_GAP)


def _numbers_differ(names: Sequence[str]) -> bool:
    """Tell whether file names differ in their last number only."""
    found = [_last_number(name) for name in names]
    if len(names) < 2 or None in found:
        return False
    befores = {pair[0] for pair in found if pair}
    return len(befores) == 1 and len({int(pair[1]) for pair in found if pair}) == len(names)


def last_number(name: str) -> int | None:
    """Return the last number in a file name."""
    found = _last_number(name)
    return int(found[1]) if found else None


def _overlap(masks: Sequence[BoolArray]) -> float:
    """Return the mean overlap (intersection over union) of successive masks."""
    shares = [
        int(np.count_nonzero(a & b)) / max(1, int(np.count_nonzero(a | b)))
        for a, b in pairwise(masks)
        if a.shape == b.shape
    ]
    return float(np.mean(shares)) if shares else 0.0


def _last_number(name: str) -> tuple[str, str] | None:
    """Return the text before the last number of a name, in lower case, and its digits.

    A suffix such as ``.rf.0af3`` of an annotation tool does not count.
    """
    stem = Path(name).stem if Path(name).suffix else name
    stem = re.split(r"\.rf\.", stem)[0]
    found = list(_NUMBER.finditer(stem))
    if not found:
        return None
    last = found[-1]
    before = stem[: last.start()].lower()
    if re.search(r"(?:^|[^a-z])v$", before):  # v002 is a version
        return None
    return before, last[1]
