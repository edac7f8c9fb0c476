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
# What file managers add to the name of a copy, behind a number: "7 (1)", "7~1" and "7 2", which are
# copies beside "7" only; "clip (1)" is a number.
_COPY = re.compile(r"(?<=[0-9])(?: ?\([0-9]{1,2}\)|~[0-9]{1,2}| [0-9])$")
# The views of a stereo camera, and versions of a rendering: each has a number of the frame, too.
_VIEW = re.compile(
    "(?:"
    + _WORD.format("left|right")
    + "|(?<![^ ._-])v[0-9]+(?=[ ._-].*[0-9]))(?:[ ._]|-(?![0-9]))?"
)
# Zeros after a decimal point count: 1.05 and 1.5 are two times.
_ZEROS = re.compile(r"(?<![0-9])(?<![0-9]\.)0+(?=[0-9])")
# Masks are not kept as JPEG.
_PHOTOGRAPHS = (".jpg", ".jpeg")


def check_frames_once(paths: Sequence[Path]) -> None:
    """Refuse image files two of which are pictures of one frame.

    That is what their names say: ``00000.jpg`` and ``00000.png``, ``1.png`` and ``01.png``,
    ``A.png`` and ``a.png``, ``00000.jpg`` and ``00000_mask.png``, ``0_left.png`` and
    ``0_right.png``, ``a_v1_0.png`` and ``a_v2_0.png``, ``7.png`` and ``7 (1).png``.
    Files in different folders are different frames.

    Args:
        paths: the files.

    Raises:
        InputError: two files are of one frame. The message names them.
    """
    _check_copies(paths)
    seen: dict[tuple[Path, str], Path] = {}
    for path in paths:
        other = seen.setdefault((path.parent, _frame(path.stem)), path)
        if other is not path:
            raise InputError(
                f"{path.parent} holds two images of one frame, {other.name} and {path.name}; "
                f"expected one image for each frame; {_remedy(other, path, paths)}"
            )


def _frame(stem: str) -> str:
    """Return what tells the frame: no letter case, leading zeros or word for its kind or view."""
    whole = stem.casefold()
    alone = _VIEW.sub("", whole)
    kept = alone if re.search("[0-9]", alone) else whole
    return _ZEROS.sub("", _KIND.sub("", kept).rstrip(" ._-") or whole)


def _check_copies(paths: Sequence[Path]) -> None:
    """Refuse a copy that lies beside its original."""
    there = {(path.parent, path.name.casefold()): path for path in paths}
    for path in paths:
        original, copies = _COPY.subn("", path.stem.casefold())
        other = there.get((path.parent, original + path.suffix.casefold()))
        if copies and other is not None:
            raise InputError(
                f"{path.parent} holds two images of one frame, {other.name} and {path.name}; "
                "expected one image for each frame; move the others to another folder, or name "
                "the frames with a pattern"
            )


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
