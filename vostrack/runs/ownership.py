"""Which files in a results folder a run wrote: only these are ever replaced or deleted."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from vostrack.errors import InputError
from vostrack.files import check_inputs_apart, check_link_to_write, parse_json, real_path
from vostrack.masks.formats.reading import ANNOTATION_SUFFIXES
from vostrack.runs.frame_log import FrameLog
from vostrack.video.names import IMAGE_SUFFIXES, VIDEO_SUFFIXES

__all__ = [
    "EXPORTS",
    "LISTING",
    "OVERLAY",
    "STATE",
    "check_apart",
    "check_replaceable",
    "check_root",
    "remove_if_empty",
    "remove_results",
    "remove_state",
    "remove_temporary_files",
    "remove_written_files",
    "run_record",
    "written_files",
]

STATE = ".state"
_STATE_FILES = ("settings.json", "frame.pt", "start.pt", "frames.jsonl", "writing.json")
OVERLAY = "overlay.mp4"
_SINGLE = (OVERLAY, "masks.json", "run.json")
EXPORTS = "exports"
_FOLDERS = ("masks", "scores", "mattes", EXPORTS)
LISTING = ".written"
"""The file in ``exports`` that lists what a run wrote there, before it writes it."""

# Of files that are read or written; others, as of run.2, may end the name of a folder.
_FILE_SUFFIXES = VIDEO_SUFFIXES | IMAGE_SUFFIXES | ANNOTATION_SUFFIXES | {".zip"}

# As ``files.atomic_path`` names them.
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")


def check_root(root: Path) -> None:
    """Refuse a path that cannot be the folder of the results.

    Raises:
        InputError: it is a file, a link to nothing, cannot be written to, or looks like the name
            of a video.
    """
    if root.exists() and not root.is_dir():
        raise InputError(f"output: {root} is a file; give the name of a folder")
    check_link_to_write(root)
    # Long work waits behind this check.
    place = next((one for one in (root, *root.parents) if one.exists()), None)
    if place is not None and place.is_dir() and not os.access(place, os.W_OK):
        raise InputError(f"output: {place} cannot be written to; give another folder as `output`")
    if root.suffix.lower() in _FILE_SUFFIXES and not root.exists():
        raise InputError(
            f"output: {root} looks like the name of a file, expected the name of a "
            "folder; the overlay video is written into it as overlay.mp4"
        )


def check_apart(root: Path, inputs: Iterable[tuple[str, Path]]) -> None:
    """Refuse inputs that lie where results go: the run would overwrite or delete them.

    Args:
        root: the results folder.
        inputs: the parameter that names each, and its path.

    Raises:
        InputError: names the first such input.
    """
    inputs = list(inputs)
    check_inputs_apart(root, (*_SINGLE, *_FOLDERS, STATE), inputs)
    for parameter, path in inputs:
        if real_path(path) == real_path(root) and parameter == "video":
            what = "folder of the frames" if path.is_dir() else "video itself"
            raise InputError(f"output: {root} is the {what}; give another folder as `output`")


def written_files(root: Path) -> set[str]:
    """Return the names, relative to ``root``, of the files that an earlier run wrote there.

    Read from ``run.json`` and from the log of an unfinished run. Empty where neither is one of
    ours: then nothing in the folder is. Names that lead elsewhere are left out: the folder may come
    from a stranger.
    """
    state = root / STATE
    content = run_record(root / "run.json")
    if content is None and not (state / "settings.json").is_file():
        return set()
    names = set(_SINGLE) | FrameLog(state / "frames.jsonl", root).files() | _being_written(state)
    names |= _exports(root)
    if content is not None:
        names |= _names_in(content.get("files")) or _names_of_earlier_versions(content)
    return {name for name in names if _lies_in(root, name) and (root / name).is_file()}


def check_replaceable(root: Path, frames: Collection[str] = ()) -> None:
    """Refuse a folder with something of somebody else in places where results would go.

    Args:
        root: the results folder.
        frames: names of result files, such as ``1001.png``, beside the numbered ones.

    Raises:
        InputError: names the first one.
    """
    for name in (*_FOLDERS, STATE):
        if os.path.lexists(root / name) and not (root / name).is_dir():
            raise InputError(
                f"output: {root / name} is no folder, but results go into a folder of that name; "
                "move it away, or give another folder as `output`"
            )
    ours = written_files(root)
    counted = re.compile(rf"(masks|scores/\d+|mattes/\d+)/\d{{5,}}\.png|{'|'.join(_SINGLE)}")
    named = re.compile(r"(?:masks|scores/\d+|mattes/\d+)/([^/]+)")
    # Some file systems do not tell upper from lower case.
    taken = {name.casefold() for name in frames}
    for name in _all_names(root):
        own = named.fullmatch(name)
        result = counted.fullmatch(name) or (own is not None and own[1].casefold() in taken)
        exported = name.startswith(f"{EXPORTS}/") and (root / name).is_file()
        if name not in ours and (result or exported):
            raise InputError(
                f"output: {root / name} was not written by a run of vostrack and would be "
                "replaced; move it away, or give another folder as `output`"
            )


def remove_written_files(root: Path) -> None:
    """Remove the results of an earlier run; all other files stay, and folders that hold some."""
    # What tells which files are ours goes last: this may be stopped at any of them.
    last = ("run.json", f"{EXPORTS}/{LISTING}")
    remove_results(root, sorted(written_files(root), key=lambda name: (name in last, name)))
    for folder in _FOLDERS:
        for path in sorted((root / folder).rglob("*"), reverse=True):
            remove_if_empty(path)
        remove_if_empty(root / folder)


def remove_results(root: Path, names: Iterable[str]) -> None:
    """Remove files of a results folder, in this order.

    Args:
        root: the results folder.
        names: relative to it; those that lead elsewhere are left alone.
    """
    for name in names:
        if _lies_in(root, name):
            (root / name).unlink(missing_ok=True)


def remove_state(state: Path) -> None:
    """Remove the state of a run; the settings, without which there is no run, first."""
    for name in _STATE_FILES:
        if (state / name).is_dir():
            shutil.rmtree(state / name)
        else:
            (state / name).unlink(missing_ok=True)
    for path in state.glob(".*.tmp"):
        if _TEMPORARY.fullmatch(path.name):
            path.unlink(missing_ok=True)
    remove_if_empty(state)


def remove_temporary_files(root: Path) -> None:
    """Remove half-written files that a killed run left."""
    for folder in (root, root / STATE, *(root / name for name in _FOLDERS)):
        for path in folder.rglob(".*.tmp") if folder != root else folder.glob(".*.tmp"):
            if _TEMPORARY.fullmatch(path.name):
                path.unlink(missing_ok=True)


def remove_if_empty(path: Path) -> None:
    """Remove a folder in which nothing is; links stay."""
    if path.is_dir() and not path.is_symlink():
        with contextlib.suppress(OSError):
            path.rmdir()


def _lies_in(root: Path, name: str) -> bool:
    """Tell whether a name leads to a place of results, and not out of it."""
    parts = Path(name).parts
    if name in _SINGLE:
        return True
    if len(parts) < 2 or parts[0] not in _FOLDERS or ".." in parts:
        return False
    return real_path((root / name).parent).is_relative_to(real_path(root / parts[0]))


def _names_in(found: object) -> set[str]:
    """Return the texts in a list that was read from a file; none if it is something else."""
    return {name for name in found if isinstance(name, str)} if isinstance(found, list) else set()


def _all_names(root: Path) -> list[str]:
    paths = [root / name for name in _SINGLE]
    for folder in _FOLDERS:
        paths += sorted((root / folder).rglob("*"))
    return [path.relative_to(root).as_posix() for path in paths if path.exists()]


def run_record(path: Path) -> dict[str, Any] | None:
    """Return the content of a ``run.json`` of ours, None for anything else."""
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    ours = isinstance(content, dict) and {"status", "settings", "versions"} <= set(content)
    return content if ours else None


def _names_of_earlier_versions(content: dict[str, Any]) -> set[str]:
    """Version 0.1 did not list its files; the frames and objects name them."""
    names: set[str] = set()
    try:
        for entry in content.get("objects", ()):
            for index in entry.get("presence", ()):
                frame = f"{int(index):05d}.png"
                names.add(f"masks/{frame}")
                names |= {f"{folder}/{entry['id']}/{frame}" for folder in ("scores", "mattes")}
    except (AttributeError, KeyError, TypeError, ValueError):
        return set()
    return names


def _exports(root: Path) -> set[str]:
    """Return the names of the files in ``exports`` that a run wrote: those that it lists there."""
    folder = root / EXPORTS
    try:
        listed = (folder / LISTING).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return set()
    return {f"{EXPORTS}/{name}" for name in [*listed, LISTING]}


def _being_written(state: Path) -> set[str]:
    try:
        return _names_in(parse_json((state / "writing.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return set()
