"""What a submission zip holds and where: the members that count, and what should not be there."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Sequence as ListOf
from dataclasses import dataclass
from pathlib import PurePosixPath

__all__ = ["Trouble", "member_name", "read_layout"]

_LARGEST_PNG = 64 * 2**20
"""Bytes; no label map of a video frame comes near, so a larger member is not unpacked."""

_SYSTEM_FILES = frozenset({"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class Trouble:
    """One thing wrong with a submission.

    Attributes:
        kind: zip, layout, stray, extra, missing, corrupt, format, size, ids or palette.
        where: the member or sequence it concerns.
        message: what was expected and what came.
        fatal: False for what the server accepts all the same.
    """

    kind: str
    where: str
    message: str
    fatal: bool = True


def member_name(sequence: str, frame: str) -> str:
    """Name the zip member of one frame's mask."""
    return f"{sequence}/{frame}.png"


def read_layout(
    entries: Iterable[zipfile.ZipInfo], expected: Mapping[str, Iterable[str]]
) -> tuple[dict[str, zipfile.ZipInfo], list[Trouble]]:
    """Find the masks in a zip's table of contents.

    A single folder around all sequences is a trouble, but its masks are found all the same, so
    that whatever else is wrong with them can be said too.

    Args:
        entries: the zip's members.
        expected: frame names of each sequence.

    Returns:
        The expected members that are there, by their right name, and what is wrong.
    """
    files, troubles = _own_files(entries)
    wrapper = _wrapping_folder([path for path, _ in files], frozenset(expected))
    if wrapper:
        message = f"the sequences lie in {wrapper}/; the server wants them at the root of the zip"
        troubles.append(Trouble("layout", wrapper, message))
    wanted = {member_name(seq, frame) for seq, frames in expected.items() for frame in frames}
    present: dict[str, zipfile.ZipInfo] = {}
    unlisted: Counter[str] = Counter()
    for path, info in files:
        inner = path.relative_to(wrapper) if wrapper else path
        if str(inner) in present:
            troubles.append(Trouble("layout", info.filename, "the zip holds this member twice"))
        elif str(inner) in wanted and info.file_size > _LARGEST_PNG:
            message = f"{info.file_size} bytes when unpacked; no mask is that large"
            troubles.append(Trouble("corrupt", info.filename, message))
        elif str(inner) in wanted:
            present[str(inner)] = info
        elif len(inner.parts) == 2 and inner.parts[0] not in expected:
            unlisted[inner.parts[0]] += 1
        else:
            troubles.append(Trouble("stray", info.filename, "not the mask of a listed frame"))
    for name, count in unlisted.items():
        troubles.append(Trouble("extra", name, f"{count} files of a sequence that is not listed"))
    return present, troubles


def _own_files(
    entries: Iterable[zipfile.ZipInfo],
) -> tuple[list[tuple[PurePosixPath, zipfile.ZipInfo]], list[Trouble]]:
    """Leave out folders and what operating systems add."""
    files: list[tuple[PurePosixPath, zipfile.ZipInfo]] = []
    troubles: list[Trouble] = []
    for info in entries:
        path = PurePosixPath(info.filename.replace("\\", "/"))
        if "\\" in info.filename:
            message = "backslash in a member's name; expected sequence/frame.png"
            troubles.append(Trouble("layout", info.filename, message))
        if _SYSTEM_FILES.intersection(path.parts) or path.name.startswith("._"):
            troubles.append(Trouble("stray", info.filename, "a file of the operating system"))
        elif not info.is_dir():
            files.append((path, info))
    return files, troubles


def _wrapping_folder(paths: ListOf[PurePosixPath], names: frozenset[str]) -> str | None:
    """Find the one folder that everything lies in, where the sequences come only below it."""
    tops = {path.parts[0] for path in paths if path.parts}
    if len(tops) != 1 or tops <= names:
        return None
    if any(len(path.parts) > 2 and path.parts[1] in names for path in paths):
        return tops.pop()
    return None
