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

    A single folder around all sequences is a problem, at whatever depth, but its masks are found
    nevertheless, so that they can be checked too.

    Args:
        entries: the members of the zip.
        expected: frame names of each sequence.
        top: the folder in which the sequences must be; "" for the root.
    """
    files, problems = _own_files(entries)
    parents = _parents([path for path, _ in files], frozenset(expected))
    wrapper = parents[0] if len(parents) == 1 else PurePosixPath()
    if files and parents != [PurePosixPath(top)]:
        where = str(wrapper) if wrapper.parts else top
        problems.append(Problem("layout", where, _misplaced(parents, top)))
    wanted = {member_name(seq, frame) for seq, frames in expected.items() for frame in frames}
    present: dict[str, zipfile.ZipInfo] = {}
    unlisted: Counter[str] = Counter()
    for path, info in files:
        inner = path.relative_to(wrapper) if path.is_relative_to(wrapper) else path
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


def _parents(paths: ListOf[PurePosixPath], names: frozenset[str]) -> list[PurePosixPath]:
    """Return the folders that hold folders of sequences; the root is ``.``."""
    return sorted({path.parents[1] for path in paths if path.parent.name in names})


def _misplaced(parents: ListOf[PurePosixPath], top: str) -> str:
    expected = f"expected them in {top}/" if top else "expected them at the root of the zip"
    if not parents:
        return f"no folder of a sequence is there; {expected}"
    places = ["at the root" if not folder.parts else f"in {folder}/" for folder in parents]
    return f"the sequences are {' and '.join(places[:3])}; {expected}"
