"""Image sequences that hold a frame twice, such as pictures with their masks beside them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vostrack.errors import InputError

__all__ = ["check_frames_once"]

# What lies beside pictures, and how these are called.
_OTHERS = "alphas?|annotations?|copy|depth|gt|labels?|masks?|mattes?|seg"
_PICTURES = "colou?r|frames?|images?|img|rgb"
_WORD = "(?<![^ ._0-9-])(?:{})(?![^ ._0-9-])"
# A minus in front of a number stays: it may be a sign.
_KIND = re.compile(_WORD.format(f"{_OTHERS}|{_PICTURES}") + "(?:[ ._]|-(?![0-9]))?")
_OTHER = re.compile(_WORD.format(_OTHERS))
# Zeros after a decimal point count: 1.05 and 1.5 are two times.
_ZEROS = re.compile(r"(?<![0-9])(?<![0-9]\.)0+(?=[0-9])")
# Masks are not kept as JPEG.
_PHOTOGRAPHS = (".jpg", ".jpeg")


def check_frames_once(paths: Sequence[Path]) -> None:
    """Refuse image files two of which are pictures of one frame.

    That is what their names say: ``00000.jpg`` and ``00000.png``, ``1.png`` and ``01.png``,
    ``A.png`` and ``a.png``, ``00000.jpg`` and ``00000_mask.png``. Files in different folders are
    different frames.

    Args:
        paths: the files.

    Raises:
        InputError: two files are of one frame. The message names them.
    """
    seen: dict[tuple[Path, str], Path] = {}
    for path in paths:
        other = seen.setdefault((path.parent, _frame(path.stem)), path)
        if other is not path:
            raise InputError(
                f"{path.parent} holds two images of one frame, {other.name} and {path.name}; "
                f"expected one image for each frame; {_remedy(other, path, paths)}"
            )


def _frame(stem: str) -> str:
    """Return what tells the frame of a file: no letter case, leading zeros or word for its kind."""
    whole = stem.casefold()
    return _ZEROS.sub("", _KIND.sub("", whole).rstrip(" ._-") or whole)


def _remedy(one: Path, other: Path, paths: Sequence[Path]) -> str:
    """Say how to name the frames alone: by their suffix, if all of them have it once."""
    first = min(one, other, key=_rank)
    alone = [_frame(path.stem) for path in paths if path.suffix == first.suffix]
    if sorted(alone) != sorted({_frame(path.stem) for path in paths}):
        return "move the others to another folder, or name the frames with a pattern"
    return (
        f"name the frames with a pattern such as '{first.parent / f'*{first.suffix}'}', or move "
        "the others to another folder"
    )


def _rank(path: Path) -> tuple[bool, bool]:
    """Sort key that puts first the file that is the picture rather than its mask."""
    is_other = _OTHER.search(path.stem.casefold()) is not None
    return is_other, path.suffix.lower() not in _PHOTOGRAPHS
