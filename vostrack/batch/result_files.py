"""The files in the place of a result: whether a batch run wrote them, and they are as it did."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from vostrack.batch.record import DONE, DoneRecord, written_names
from vostrack.errors import InputError
from vostrack.files import is_whole_image

__all__ = ["check_ours", "is_unchanged", "not_ours"]


def is_unchanged(place: str, record: DoneRecord, read: Callable[[str], bytes | None]) -> bool:
    """Tell whether every byte of a result is as it was written.

    Args:
        place: of the result, for the message.
        record: of the result.
        read: returns the content of a file; None where there is none.

    Raises:
        InputError: somebody changed an image, which making the result again would replace.
    """
    unchanged = True
    for name, expected in record.checksums.items():
        content = read(name)
        if content is not None and zlib.crc32(content) == expected:
            continue
        if content is not None and is_whole_image(io.BytesIO(content)):
            raise InputError(
                f"output {place}: {name} was changed after the run; `overwrite=True` replaces it, "
                "and so does a run after you moved it away"
            )
        unchanged = False
    return unchanged


def check_ours(
    place: str, names: Iterable[str], text: bytes | None, frames: Collection[str]
) -> None:
    """Refuse files that no batch run wrote: replacing a result would delete them.

    Args:
        place: the folder, for the message.
        names: of the files in it.
        text: the content of ``done.json``, or of the list of files to be uploaded; None if there
            is none.
        frames: names of the frames.

    Raises:
        InputError: there is one.
    """
    ours = set() if text is None else written_names(text)
    if ours is None:
        ours = {DONE, *(name for name in names if Path(name).stem in frames)}
    other = next((name for name in names if name not in ours), None)
    if other is not None:
        raise not_ours(place, other)


def not_ours(place: str, name: str = "") -> InputError:
    """Return the error that there are files of somebody else, such as ``name``."""
    which = f", such as {name}" if name else ""
    return InputError(
        f"output {place}: there are files that were not written by a batch run{which}; use another "
        "output folder, or move them"
    )
