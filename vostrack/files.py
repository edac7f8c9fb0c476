"""Files: checks of paths, JSON, and atomic writes."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from vostrack.disk_room import no_room
from vostrack.errors import InputError

__all__ = [
    "atomic_path",
    "check_inputs_apart",
    "check_link",
    "check_link_to_write",
    "check_output_file",
    "check_regular",
    "expand_home",
    "is_whole_image",
    "leads_nowhere",
    "naming",
    "parse_json",
    "read_lines",
    "real_path",
    "short_name",
    "through_link",
]

_LONGEST_NAME = 255
_ADDED = 32
_CUT = _LONGEST_NAME - _ADDED - 17


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


def check_link(path: Path) -> None:
    """Refuse a link to nothing among files that are listed: it stands for one that is missing.

    Args:
        path: any file or folder.

    Raises:
        InputError: it is a link whose target does not exist.
    """
    if leads_nowhere(path):
        raise InputError(
            f"{path} is a link to {path.readlink()}, which does not exist; restore that file, or "
            "remove the link"
        )


def leads_nowhere(path: Path) -> bool:
    """Tell whether this is a link whose target does not exist."""
    return path.is_symlink() and not path.exists()


def real_path(path: Path) -> Path:
    """Return an absolute path without links; a link that leads back to itself stays as it is.

    ``Path.resolve`` raises an error for such a link, in some versions of Python.
    """
    return Path(os.path.realpath(path))


def check_link_to_write(path: Path, parameter: str = "output") -> None:
    """Refuse a link to nothing as a place to write to: nobody can tell whether it still counts.

    Args:
        path: the file or folder to write.
        parameter: the one that names it, for the message.

    Raises:
        InputError: it is a link whose target does not exist.
    """
    if leads_nowhere(path):
        raise InputError(
            f"{parameter}: {path} is a link to {path.readlink()}, which does not exist or leads "
            "back to the link; create its target, or remove the link"
        )


def through_link(path: str | os.PathLike[str]) -> Path:
    """Return where a file that the user names is written: a link stays, and its target is written.

    Results in a folder are not written through links: these may lead to what somebody keeps.
    """
    named = Path(path)
    return real_path(named) if named.is_symlink() else named


def check_output_file(
    path: str | os.PathLike[str], parameter: str, inputs: Iterable[Path] = ()
) -> None:
    """Refuse a place where a file cannot be written, or would replace what is read.

    Args:
        path: the file to write; what an existing one holds is not looked at.
        parameter: the one that names it, for the message.
        inputs: files that are read.

    Raises:
        InputError: it is a folder, a link to nothing or no ordinary file, its folder is a file or
            cannot be written to, or it is one of the inputs.
    """
    target = Path(path)
    check_link_to_write(target, parameter)
    if target.is_dir():
        raise InputError(f"{parameter}: {target} is a folder; give the name of a file")
    if target.exists() and not target.is_file():
        raise InputError(f"{parameter}: {target} is no ordinary file; give another one")
    folder = next(parent for parent in target.parents if parent.exists())
    if not folder.is_dir():
        raise InputError(f"{parameter}: {folder} is a file, expected a folder; give another place")
    if not os.access(folder, os.W_OK):
        raise InputError(f"{parameter}: {folder} cannot be written to; give another place")
    for place in inputs:
        if real_path(target) == real_path(place):
            raise InputError(f"{parameter}: {target} is read, not written; give another file")


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
    places = {real_path(root / name) for name in names}
    for parameter, path in inputs:
        resolved = real_path(path)
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


def is_whole_image(file: Path | BinaryIO) -> bool:
    """Tell whether a file is an image that is not damaged, such as one that somebody edited."""
    from PIL import Image

    try:
        with Image.open(file) as image:
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


def read_lines(path: Path) -> list[str]:
    """Read the lines of a list that somebody may have edited, with or without a byte order mark.

    Returns:
        The lines without the space around them; empty lines are left out.

    Raises:
        InputError: the file cannot be read, or is not in UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: expected text in UTF-8, got another encoding (byte {error.start} is "
            f"0x{error.object[error.start]:02x}); save the file as UTF-8"
        ) from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def short_name(name: str) -> str:
    """Return the name of a file or folder, cut if something added to it would make it too long.

    Most file systems take 255 bytes. A digest tells apart names that begin alike.

    Args:
        name: the name; up to 223 bytes of it stay as they are.
    """
    data = os.fsencode(name)
    if len(data) <= _LONGEST_NAME - _ADDED:
        return name
    digest = hashlib.sha256(data).hexdigest()[:16]
    return f"{data[:_CUT].decode('utf-8', 'ignore')}-{digest}"


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

    Raises:
        OSError: what the block raises; in place of the temporary path it names ``path``.
    """
    target = Path(path)
    _make_folder(target.parent)
    temporary = target.with_name(f".{short_name(target.name)}.{secrets.token_hex(4)}.tmp")
    try:
        with naming(target, temporary):
            yield temporary
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def naming(target: Path, temporary: Path) -> Iterator[None]:
    """Let an error name the file that is written.

    Args:
        target: the file.
        temporary: what it is called until it is complete; errors name this, or nothing.

    Raises:
        OSError: what the block raises.
    """
    try:
        yield
    except OSError as error:
        unnamed = error.filename is None and no_room(error) is not None
        if not unnamed and error.filename != str(temporary):
            raise
        raise OSError(error.errno, error.strerror, str(target)) from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        # Such as a folder that was renamed just between being found and being looked at.
        if os.path.lexists(folder):
            raise
        folder.mkdir(parents=True, exist_ok=True)
