"""Files: natural order, JSON, atomic writes, and folders that one process at a time uses."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vostrack.errors import InputError

__all__ = [
    "LOCK",
    "atomic_path",
    "check_inputs_apart",
    "check_regular",
    "exclusive_folder",
    "expand_home",
    "in_natural_order",
    "is_whole_image",
    "natural_order",
    "parse_json",
    "varying_digits",
]

LOCK = ".vostrack.lock"
"""The file that lies in a folder while a process keeps it for itself."""


_NUMBERS = re.compile(r"(\d+)")
_DIGITS = re.compile(r"([0-9]+)")
_SIGNED = re.compile(r"(.*)([+-][0-9]{1,18})([^0-9].*|)")

NaturalOrder = tuple[tuple[tuple[int, int, str], ...], str]


def natural_order(name: str) -> NaturalOrder:
    """Sort key that puts ``frame2`` before ``frame10``: runs of digits compare as numbers.

    Numbers come before letters. The case of letters matters only between names that are otherwise
    equal, and so do leading zeros.

    Args:
        name: the name of a file or folder, or a whole path.
    """
    parts = _NUMBERS.split(name.lower())
    key = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part)
    return key, name


def in_natural_order(paths: Iterable[Path]) -> list[Path]:
    """Sort files by the ``natural_order`` of their paths; negative numbers come first.

    A minus is a sign only where the files of a folder differ in one number, and some of these
    numbers have a plus and the others a minus: ``f-01``, ``f+00``. In ``shot-01`` it separates.

    Args:
        paths: the files.
    """
    found = sorted(paths, key=lambda path: natural_order(str(path)))
    parts = [_SIGNED.fullmatch(path.name) for path in found]
    signed = [part for part in parts if part is not None]
    around = {(path.parent, part[1], part[3]) for path, part in zip(found, signed, strict=False)}
    if len(signed) < len(found) or len(around) != 1 or len({part[2][0] for part in signed}) < 2:
        return found
    numbers = {path: int(part[2]) for path, part in zip(found, signed, strict=True)}
    return sorted(found, key=lambda path: numbers[path])


def varying_digits(stems: Sequence[str]) -> list[str] | None:
    """Return the only digits in which names differ; None if there are no such digits.

    Of a single name, or of equal ones, they are the last digits, if these end it.

    Args:
        stems: the names, without suffixes.
    """
    parts = [_DIGITS.split(stem) for stem in stems]
    if not parts or any(len(part) != len(parts[0]) for part in parts):
        return None
    varying = [k for k, column in enumerate(zip(*parts, strict=True)) if len(set(column)) > 1]
    if not varying and len(parts[0]) > 1 and not parts[0][-1]:
        varying = [len(parts[0]) - 2]
    if len(varying) != 1 or varying[0] % 2 == 0:
        return None
    return [part[varying[0]] for part in parts]


def check_regular(path: str | os.PathLike[str], content: str = "its content") -> None:
    """Refuse a pipe: files are opened several times, and a pipe would then wait for ever.

    Args:
        path: a file; one that does not exist is let through.
        content: what it holds, for the message.

    Raises:
        InputError: it is a pipe or a socket.
    """
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        return
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        raise InputError(
            f"{path} is a pipe, which can be read only once; write {content} to a file first, for "
            f"example with `cat {path} > file`"
        )


def check_inputs_apart(
    root: Path, names: Iterable[str], inputs: Iterable[tuple[str, Path]]
) -> None:
    """Refuse inputs that lie where results go: they would be overwritten or deleted.

    Args:
        root: the results folder.
        names: of the files and folders in it that hold results.
        inputs: the parameter that names each, and its path.

    Raises:
        InputError: names the first such input.
    """
    places = {(root / name).resolve() for name in names}
    for parameter, path in inputs:
        resolved = path.resolve()
        if not places.isdisjoint((resolved, *resolved.parents)):
            raise InputError(
                f"output: {parameter} {path} lies in {root}, where the results go, and would "
                "be replaced by them; give another folder as `output`"
            )


def expand_home(path: str | os.PathLike[str]) -> Path:
    """Return a path with the home folder for a leading ``~``, as shells do.

    A name such as ``~draft`` stays as it is where there is no user of that name.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def is_whole_image(path: Path) -> bool:
    """Tell whether a file is an image that is not damaged, such as one that somebody edited."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.verify()
    except (OSError, SyntaxError, ValueError):
        return False
    return True


def parse_json(text: str | bytes) -> Any:
    """Parse JSON that may be damaged or come from anywhere.

    Raises:
        ValueError: it is no JSON, is nested too deeply, or holds a number of thousands of digits.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Provide a temporary path that replaces ``path`` when the block ends.

    A reader sees the old file or the new one, never a partial file.

    If the block raises, the temporary file is removed and an existing file at ``path`` is left
    unchanged. The temporary name starts with a dot and ends in ``.tmp``, so listing a folder by
    suffix does not pick it up, even if the process was killed.

    Args:
        path: the file to write; missing parent folders are created.

    Yields:
        The temporary path, in the same folder.
    """
    target = Path(path)
    _make_folder(target.parent)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        # Such as a folder that was renamed just between being found and being looked at.
        if os.path.lexists(folder):
            raise
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def exclusive_folder(folder: Path) -> Iterator[None]:
    """Keep other processes from writing to a folder while the block runs.

    The lock is the operating system's: it ends with the process, however that ends. The folder is
    created when it is missing.

    Args:
        folder: what to lock; a hidden file lies in it meanwhile.

    Raises:
        InputError: another run holds the lock, or it is no folder.
    """
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(
            f"output: {error.filename} is not a folder; give the name of a folder as `output`"
        ) from None
    lock = folder / LOCK
    try:
        with FileLock(lock, timeout=0):
            try:
                yield
            finally:
                # Removed while it is held: nobody waits for it.
                with contextlib.suppress(OSError):
                    lock.unlink()
    except Timeout:
        raise InputError(
            f"output: another run is writing to {folder}; wait for it to end, stop it, or give "
            "another folder as `output`"
        ) from None
