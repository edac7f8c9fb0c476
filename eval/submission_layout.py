"""The layout of a submission zip: finding the expected masks and unexpected files."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Sequence as ListOf
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

__all__ = ["Layout", "Problem", "member_name", "read_layout"]

_LARGEST_PNG = 64 * 2**20
"""Maximum size in bytes. Label maps are far smaller; larger members are not unpacked."""

_SYSTEM_FILES = frozenset({"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class Problem:
    """A problem with a submission.

    Attributes:
        kind: zip, layout, stray, extra, missing, corrupt, format, size, ids or palette.
        where: the member or sequence.
        message: what was expected and what was found.
        fatal: False if the server accepts it.
    """

    kind: str
    where: str
    message: str
    fatal: bool = True


def member_name(sequence: str, frame: str) -> str:
    """Return the name of the zip member for the mask of a frame."""
    return f"{sequence}/{frame}.png"


class Layout(NamedTuple):
    """The contents of a submission zip.

    Attributes:
        present: the expected members in the zip, by their expected name.
        problems: problems with the other members.
    """

    present: dict[str, zipfile.ZipInfo]
    problems: list[Problem]


def read_layout(
    entries: Iterable[zipfile.ZipInfo], expected: Mapping[str, Iterable[str]], *, top: str = ""
) -> Layout:
    """Find the expected masks in the table of contents of a zip.

    A single folder around all sequences is a problem, but its masks are found nevertheless, so that
    they can be checked too.

    Args:
        entries: the members of the zip.
        expected: frame names of each sequence.
        top: the folder in which the sequences must be; "" for the root.
    """
    files, problems = _own_files(entries)
    wrapper = _wrapping_folder([path for path, _ in files], frozenset(expected))
    if (wrapper or "") != top and files:
        where = f"in {top}/" if top else "at the root of the zip"
        there = f"in {wrapper}/" if wrapper else "at the root"
        message = f"the sequences are {there}; expected them {where}"
        problems.append(Problem("layout", wrapper or top, message))
    wanted = {member_name(seq, frame) for seq, frames in expected.items() for frame in frames}
    present: dict[str, zipfile.ZipInfo] = {}
    unlisted: Counter[str] = Counter()
    for path, info in files:
        inner = path.relative_to(wrapper) if wrapper else path
        if str(inner) in present:
            problems.append(Problem("layout", info.filename, "the zip contains this member twice"))
        elif str(inner) in wanted and info.file_size > _LARGEST_PNG:
            message = f"{info.file_size} bytes when unpacked; no mask is that large"
            problems.append(Problem("corrupt", info.filename, message))
        elif str(inner) in wanted:
            present[str(inner)] = info
        elif len(inner.parts) == 2 and inner.parts[0] not in expected:
            unlisted[inner.parts[0]] += 1
        else:
            problems.append(Problem("stray", info.filename, "not the mask of a listed frame"))
    for name, count in unlisted.items():
        problems.append(Problem("extra", name, f"{count} files of a sequence that is not listed"))
    return Layout(present, problems)


def _own_files(
    entries: Iterable[zipfile.ZipInfo],
) -> tuple[list[tuple[PurePosixPath, zipfile.ZipInfo]], list[Problem]]:
    """Leave out folders and files that operating systems add."""
    files: list[tuple[PurePosixPath, zipfile.ZipInfo]] = []
    problems: list[Problem] = []
    for info in entries:
        path = PurePosixPath(info.filename.replace("\\", "/"))
        if "\\" in info.filename:
            message = "backslash in a member's name; expected sequence/frame.png"
            problems.append(Problem("layout", info.filename, message))
        if _SYSTEM_FILES.intersection(path.parts) or path.name.startswith("._"):
            problems.append(Problem("stray", info.filename, "a file of the operating system"))
        elif not info.is_dir():
            files.append((path, info))
    return files, problems


def _wrapping_folder(paths: ListOf[PurePosixPath], names: frozenset[str]) -> str | None:
    """Return the single folder around all sequences, if there is one."""
    tops = {path.parts[0] for path in paths if path.parts}
    if len(tops) != 1 or tops <= names:
        return None
    if any(len(path.parts) > 2 and path.parts[1] in names for path in paths):
        return tops.pop()
    return None
