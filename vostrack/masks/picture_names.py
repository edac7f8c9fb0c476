"""What the names of pictures in a file of annotations say of their frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vostrack.file_order import varying_digits
from vostrack.masks.annotations import AnnotatedFrame

__all__ = [
    "file_or_none",
    "numbered_by_pictures",
    "numbered_by_stems",
    "picture_of",
    "position_or_none",
    "stem_of",
]

_SUFFIXES = frozenset(
    {"apng", "avif", "bmp", "dng", "exr", "gif", "heic", "heif", "jp2", "jpeg", "jpg", "pgm"}
    | {"png", "pnm", "ppm", "tga", "tif", "tiff", "webp"}
)
_MOST_DIGITS = 9
_MOST_FRAMES = 1 << 24


def file_or_none(value: object) -> str | None:
    """Return a value as the name of a file without folders; None if it cannot be one."""
    usable = isinstance(value, str) and value.isprintable() and value == _base(value)
    return str(value) if usable and 0 < len(str(value)) < 256 and value not in (".", "..") else None


def position_or_none(value: object) -> int | None:
    """Return a value as the position of a frame; None if it cannot be one."""
    return value if type(value) is int and 0 <= value < _MOST_FRAMES else None


def picture_of(frame: AnnotatedFrame) -> str | None:
    """Return the name of a frame's image file, without folders; None if the file states none."""
    if frame.file is not None:
        return frame.file
    base = _base(frame.name)
    stem, _, suffix = base.rpartition(".")
    return base if stem and suffix.lower() in _SUFFIXES else None


def stem_of(frame: AnnotatedFrame) -> str:
    """Return the name of a frame, without folders and suffix."""
    return frame.name if frame.file is not None else _base(frame.name).rsplit(".", 1)[0]


def numbered_by_pictures(frames: Sequence[AnnotatedFrame]) -> tuple[AnnotatedFrame, ...]:
    """Number the frames by the names of their pictures; see ``numbered_by_stems``.

    Nothing is changed if the file does not name them.
    """
    return tuple(frames) if None in map(picture_of, frames) else numbered_by_stems(frames)


def numbered_by_stems(frames: Sequence[AnnotatedFrame]) -> tuple[AnnotatedFrame, ...]:
    """Number the frames as an image sequence is numbered: by what differs in all the names.

    ``f7.png`` alone states no frame, but beside ``f8.png`` it is frame 7. Nothing is changed if
    each name states a number of its own.
    """
    numbers = [frame.number for frame in frames]
    distinct = None not in numbers and len(set(numbers)) == len(numbers)
    digits = None if distinct or len(frames) < 2 else varying_digits(list(map(_stem, frames)))
    if digits is None or max(map(len, digits)) > _MOST_DIGITS:
        return tuple(frames)
    if len(set(map(int, digits))) < len(frames):
        return tuple(frames)
    pairs = zip(frames, digits, strict=True)
    return tuple(replace(frame, number=int(text)) for frame, text in pairs)


def _stem(frame: AnnotatedFrame) -> str:
    picture = picture_of(frame)
    return _base(frame.name) if picture is None else picture.rsplit(".", 1)[0]


def _base(name: str) -> str:
    return name.replace("\\", "/").rsplit("/", 1)[-1]
