"""Mask files of several frames: which file belongs to which frame."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vostrack.errors import InputError
from vostrack.files import expand_home, real_path
from vostrack.masks.first_mask import images_in
from vostrack.masks.formats.reading import kind_of_folder
from vostrack.masks.frame_names import VideoFrames, last_number, names_frames

__all__ = ["files_by_frame", "split_frame"]

_WITH_FRAME = re.compile(r"(\d{1,9})=(.+)", flags=re.DOTALL)
_LIKE_A_NUMBER = re.compile(r"\s*[-+]?[\d.,]+\s*")


def split_frame(entry: str) -> tuple[int | None, str]:
    """Split ``40=mask.png`` into the number of the frame and the path.

    Returns:
        The number, or None where the entry is a path alone; and the path.
    """
    found = _WITH_FRAME.fullmatch(entry)
    if found is None or Path(entry).exists():
        return None, entry
    return int(found[1]), str(expand_home(found[2]))


def files_by_frame(
    entries: Sequence[str], frames: VideoFrames
) -> dict[int, tuple[str, ...]] | None:
    """Sort mask files by the frames that the entries or the file names state.

    Args:
        entries: paths, or ``NUMBER=PATH``; or one folder.
        frames: the frames of the video. If the user asked for one of them, file names state none.

    Returns:
        The files of each frame, in ascending order; None if all belong to one frame.

    Raises:
        InputError: only some entries name their frame, or one that is not in the video; what
            stands before a mask is no number; or a mask is given twice.
    """
    split = [split_frame(str(entry)) for entry in entries]
    _check_entries(split)
    stated = [number for number, _ in split if number is not None]
    if stated and len(stated) < len(split):
        missing = next(path for number, path in split if number is None)
        raise InputError(
            f"first_mask: {missing} has no frame, but other masks do; write the number of its "
            f"frame before it, such as 0={missing}"
        )
    if stated and frames.asked is not None:
        raise InputError(
            "first_mask: the masks are given with their frames; leave `first_mask_frame` out"
        )
    if stated:
        return _collected([(int(number or 0), path) for number, path in split], frames)
    paths = [path for _, path in split]
    if len(paths) == 1 and Path(paths[0]).is_dir():
        # Annotations know their frames themselves; pictures beside them are no masks.
        if kind_of_folder(Path(paths[0])) not in (None, "mots"):
            return None
        paths = [str(path) for path in images_in(Path(paths[0]))]
    if frames.asked is not None or not names_frames([Path(path).name for path in paths]):
        return None
    numbers = [int(last_number(Path(path).name) or 0) for path in paths]
    if not frames.named and 0 not in numbers and 1 in numbers:
        raise InputError(
            f"first_mask: {paths[0]} and the others may be named after frames that count from 1, "
            "while the frames of this video count from 0; write the number of its frame before "
            f"each, such as 0={paths[0]}"
        )
    return _collected(list(zip(numbers, paths, strict=True)), frames, named=True)


def _check_entries(split: Sequence[tuple[int | None, str]]) -> None:
    """Refuse a mask that is given twice for one frame, and one behind what is no number."""
    seen = set()
    for number, path in split:
        before, _, mask = path.partition("=")
        slip = _LIKE_A_NUMBER.fullmatch(before) or expand_home(mask).exists()
        if number is None and mask and slip and not Path(path).exists():
            raise InputError(
                f"first_mask: {path} begins with {before!r}, expected the number of a frame before "
                f"`=`, as 0 or 40 without a sign; write it such as 0={mask}"
            )
        key = number, real_path(expand_home(path))
        if key in seen:
            where = "" if number is None else f" for frame {number}"
            raise InputError(
                f"first_mask: {path} is given twice{where}, expected each mask once; leave one out"
                + (", or correct the number of its frame" if where else "")
            )
        seen.add(key)


def _collected(
    pairs: Sequence[tuple[int, str]], frames: VideoFrames, *, named: bool = False
) -> dict[int, tuple[str, ...]]:
    """Sort files by their frames, which the names state, or else the user did."""
    found: dict[int, tuple[str, ...]] = {}
    for number, path in sorted(pairs, key=lambda pair: pair[0]):
        if len(frames.numbers) and number not in frames.numbers:
            first, last = frames.numbers[0], frames.numbers[-1]
            remedy = (
                f"write the number of its frame before it, such as {first}={path}"
                if named
                else f"write a frame of {first} to {last} before it"
            )
            raise InputError(
                f"first_mask: {path} belongs to frame {number}, which is not among the frames "
                f"{first} to {last} of the video; {remedy}"
            )
        found[number] = (*found.get(number, ()), path)
    return found
