"""What a file of annotations says about pictures and videos that it lists, and about others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vostrack.errors import InputError
from vostrack.masks.annotations import shortened
from vostrack.wording import counted

__all__ = ["of_first_video", "of_listed"]

_Items = list[Mapping[str, Any]]
_SHOWN = 8


def of_listed(
    items: Sequence[Mapping[str, Any]],
    owners: Iterable[Mapping[str, Any]],
    owner: str,
    origin: str,
) -> tuple[_Items, tuple[str, ...]]:
    """Return the annotations of what the file lists, and a note on the others.

    Those that name no owner are kept, and so are all if the file gives no ids to the owners.

    Args:
        items: the annotations, which name their owner as ``image_id`` or ``video_id``.
        owners: the images or videos that the file lists.
        owner: "image" or "video".
        origin: name of the file in messages.

    Raises:
        InputError: the file lists none of the owners that are named.
    """
    key = f"{owner}_id"
    known = {str(one["id"]) for one in owners if one.get("id") is not None}
    strays = [i for i in items if i.get(key) is not None and str(i[key]) not in known]
    if not known or not strays:
        return list(items), ()
    kept = [i for i in items if i.get(key) is None or str(i[key]) in known]
    if not kept:
        raise InputError(
            f"{origin}: the annotations are of {owner}s that the file does not list "
            f"({_ids(strays, key)}); export the annotations together with their {owner}s"
        )
    return kept, (
        f"{origin}: left out {counted(len(strays), 'annotation')} of {owner}s that the file does "
        f"not list ({_ids(strays, key)})",
    )


def of_first_video(
    items: Sequence[Mapping[str, Any]],
    videos: Sequence[Mapping[str, Any]],
    noun: str,
    origin: str,
) -> tuple[_Items, str]:
    """Return what belongs to the first video, and which things of other videos are left out.

    Args:
        items: the things, which name their video as ``video_id``. Where a file lists one video, it
            need not be named.
        videos: those that the file lists.
        noun: what the things are, in the singular.
        origin: name of the file in messages.

    Returns:
        The things, and the end of a sentence about the others; "" where there are none.

    Raises:
        InputError: all are of other videos.
    """
    first = str(videos[0].get("id"))
    alone = len(videos) == 1
    own = [i for i in items if str(i.get("video_id", first if alone else None)) == first]
    others = [i for i in items if str(i.get("video_id", first if alone else None)) != first]
    if others and not own:
        raise InputError(
            f"{origin}: expected {noun}s of its first video, {shortened(first, 20)}, got only "
            f"those of others ({_ids(others, 'video_id')}); export the video that you want alone"
        )
    if not others:
        return own, ""
    left_out = counted(len(others), noun)
    return own, f"; left out {left_out} of others ({_ids(others, 'video_id')})"


def _ids(items: Iterable[Mapping[str, Any]], key: str) -> str:
    """Name the first few owners of annotations."""
    named = list(dict.fromkeys(shortened(item.get(key), 20) for item in items))
    more = ", ..." if len(named) > _SHOWN else ""
    return f"{key} {', '.join(named[:_SHOWN])}{more}"
