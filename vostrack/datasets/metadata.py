"""Metadata of data sets in JSON: one way to read them and to name what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from vostrack.errors import InputError
from vostrack.files import parse_json

__all__ = ["object_id", "of_type", "pixels", "read_json", "read_objects", "read_videos"]

_T = TypeVar("_T")
_KINDS: dict[type, str] = {dict: "a mapping {...}", list: "a list [...]", str: "text"}


def read_json(path: Path, expected: str) -> Any:
    """Read a JSON file in any Unicode encoding, with or without a byte order mark.

    Args:
        path: the file.
        expected: what it should hold, for the message.

    Raises:
        InputError: the file cannot be read, or is no JSON.
    """
    try:
        return parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: expected {expected}; reading it failed with {type(error).__name__}: {error}; "
            "download it again"
        ) from error


def of_type(value: Any, kind: type[_T], place: str) -> _T:
    """Return a value of JSON if it has the type that its place asks for.

    Args:
        value: what was read.
        kind: dict, list or str.
        place: the file and the path to the value in it, for the message.

    Raises:
        InputError: it has another type.
    """
    if isinstance(value, kind):
        return value
    raise InputError(f"{place}: expected {_KINDS[kind]}, got {_shown(value)}; correct the file")


def pixels(value: Any, place: str) -> int:
    """Return a value of JSON if it is a number of pixels, at least 1.

    Args:
        value: what was read.
        place: as in ``of_type``.

    Raises:
        InputError: it is no whole number, or below 1.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise InputError(f"{place}: expected pixels, got {_shown(value)}; correct the file")


def _shown(value: Any) -> str:
    return "nothing" if value is None else f"{str(value)[:40]!r}"


def read_videos(path: Path) -> dict[str, Any]:
    """Read the videos of a ``meta.json`` of YouTube-VOS or LVOS, by name.

    Raises:
        InputError: the file cannot be read, is no such JSON, or lists no video.
    """
    expected = "JSON with videos and their objects"
    data = read_json(path, expected)
    videos = data.get("videos") if isinstance(data, dict) else None
    if not isinstance(videos, dict):
        raise InputError(f"{path}: expected {expected}, got no videos by name; check the file")
    if not videos:
        raise InputError(f"{path}: expected {expected}, got no video; download it again")
    return videos


def read_objects(path: Path, name: str, video: Any) -> dict[int, Mapping[str, Any]]:
    """Check what a ``meta.json`` says about the objects of one video.

    Args:
        path: the file.
        name: name of the video.
        video: its entry in the file.

    Returns:
        The entry of each object by its id, ascending.

    Raises:
        InputError: there is no object, an id is not 1 to 254, or the structure is another one.
    """
    entry = of_type(video, dict, f"{path}: video {name}")
    objects = of_type(entry.get("objects"), dict, f"{path}: objects of video {name}")
    if not objects:
        raise InputError(
            f"{path}: video {name} has no object; expected at least one, by its id in the masks"
        )
    found: dict[int, Mapping[str, Any]] = {}
    for key, value in objects.items():
        number = object_id(key, f"{path}: video {name}")
        if number in found:
            raise InputError(f"{path}: video {name}: object {number} is there twice; keep one")
        found[number] = of_type(value, dict, f"{path}: object {key} of video {name}")
    return dict(sorted(found.items()))


def object_id(key: str, place: str) -> int:
    """Return the id that a key of JSON names.

    Args:
        key: the key.
        place: where it is, for the message.

    Raises:
        InputError: it is not a whole number from 1 to 254, what a mask can hold.
    """
    from vostrack.masks.palette import VOID

    number = int(key) if key.isascii() and key.isdigit() and len(key) < 10 else 0
    if not 0 < number < VOID:
        raise InputError(
            f"{place}: the ids of objects must be 1 to 254 (0 is background, 255 void), got "
            f"{key[:20]!r}; renumber the object in the metadata and in the masks"
        )
    return number
