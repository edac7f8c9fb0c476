"""Finding the masks of each sequence in a folder or zip file of results."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vostrack.errors import InputError
from vostrack.eval.findings import Finding, listed
from vostrack.file_order import natural_order
from vostrack.files import check_link, leads_nowhere

__all__ = ["ResultFolder", "find_sequences", "mask_files", "opened_results"]

_SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".pgm", ".jpg", ".jpeg")
_DEPTH = 3
_MOST_FOLDERS = 4000
_LARGEST_ARCHIVE = 16 * 2**30


@dataclass(frozen=True)
class ResultFolder:
    """Where the results of the sequences are.

    Attributes:
        folders: the folder of each sequence that has one; its masks may be in a folder of it.
        findings: what was found elsewhere than expected, and which sequences have no folder.
    """

    folders: dict[str, Path]
    findings: tuple[Finding, ...]


@contextmanager
def opened_results(path: Path, names: Sequence[str] = ()) -> Iterator[Path]:
    """Provide results as a folder: a zip file, or zip files of sequences, are unpacked meanwhile.

    Args:
        path: a folder, a zip file of a folder, or a folder of ``SEQUENCE.zip``.
        names: names of the sequences.

    Yields:
        The folder.

    Raises:
        InputError: there is neither a folder nor a zip file.
    """
    if path.is_dir():
        packed = [path / f"{name}.zip" for name in names if (path / f"{name}.zip").is_file()]
        if not packed or any((path / name).is_dir() for name in names):
            yield path
            return
        with tempfile.TemporaryDirectory(prefix="vostrack-results-") as scratch:
            for archive in packed:
                _unpack(archive, Path(scratch) / archive.stem)
            yield Path(scratch)
        return
    check_link(path)
    if not path.is_file():
        raise InputError(
            f"results {path}: no such folder; expected one with a folder of masks per sequence"
        )
    with tempfile.TemporaryDirectory(prefix="vostrack-results-") as scratch:
        _unpack(path, Path(scratch))
        yield Path(scratch)


def find_sequences(root: Path, names: Sequence[str]) -> ResultFolder:
    """Find the folder of each sequence.

    Expected is ``root/SEQUENCE``. If there is none of them, the folders below ``root`` are searched
    (``root/Annotations/480p/SEQUENCE``), and ``root`` itself may be the folder of one sequence.

    Args:
        root: folder of results.
        names: names of the sequences.

    Raises:
        InputError: there is no folder of any sequence, or there are several sets of them.
    """
    base, note = _base(root, names)
    if base is None:
        only = root.name if root.name in names else names[0]
        where = Finding("folder", "", f"{root} is taken for the results of {only} alone")
        return ResultFolder({only: root}, (where, *_absent(root, names, {only})))
    folders = {name: base / name for name in names if (base / name).is_dir()}
    notes = (Finding("folder", "", note),) if note else ()
    return ResultFolder(folders, (*notes, *_absent(base, names, set(folders))))


def _base(root: Path, names: Sequence[str]) -> tuple[Path | None, str]:
    """Return the folder of the sequences' folders; None if ``root`` is the folder of one."""
    if any((root / name).is_dir() for name in names):
        return root, ""
    if (len(names) == 1 or root.name in names) and _holds_masks(root):
        return None, ""
    below = [
        folder
        for folder in _folders_below(root)
        if any((folder / name).is_dir() for name in names) and folder.name not in names
    ]
    if len(below) == 1:
        return below[0], f"the sequences are in {below[0].relative_to(root)}/"
    if below:
        raise InputError(
            f"results {root}: several folders hold results of these sequences: "
            f"{listed(str(folder.relative_to(root)) for folder in below)}; give one of them"
        )
    there = sorted((p.name for p in root.iterdir() if _visible(p)), key=natural_order)
    raise InputError(
        f"results {root}: looked for a folder of masks for each sequence ({listed(names)}); "
        + (f"there are {listed(there)}" if there else "the folder is empty")
        + "; give the folder that holds the sequences' folders, or select others with `sequences`"
    )


def _absent(base: Path, names: Sequence[str], found: set[str]) -> list[Finding]:
    """Name the sequences without a folder, and the folders that are of no sequence."""
    missing = [name for name in names if name not in found]
    broken = [name for name in missing if leads_nowhere(base / name)]
    missing = [name for name in missing if name not in broken]
    links = [_broken_link(base / name) for name in broken]
    if not missing:
        return links
    others = sorted(
        (p.name for p in base.iterdir() if p.is_dir() and p.name not in names and _visible(p)),
        key=natural_order,
    )
    hint = f"; there are also {listed(others)}" if others and base.name not in names else ""
    bare = [
        Finding("folder", name, f"no folder {name} in {base}{hint}", lost=True) for name in missing
    ]
    return [*links, *bare]


def _broken_link(folder: Path) -> Finding:
    message = f"{folder} is a link to {folder.readlink()}, which does not exist"
    return Finding("folder", folder.name, message, lost=True)


def mask_files(folder: Path) -> tuple[dict[str, Path], Path]:
    """List the masks of one sequence by their names without suffix, in natural order.

    They may be in ``folder/masks``, as ``vostrack track`` writes them, or in its only folder.

    Args:
        folder: folder of the sequence.

    Returns:
        The files, of several with one name the least lossy, and the folder they are in.
    """
    inner = sorted(p for p in folder.iterdir() if p.is_dir() and _visible(p))
    places = [folder / "masks", folder, *(inner if len(inner) == 1 else ())]
    for place in places:
        found = _images(place)
        if found:
            return found, place
    return {}, folder


def _images(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda p: natural_order(p.name)):
        suffix = path.suffix.lower()
        if suffix not in _SUFFIXES or not _visible(path):
            continue
        # A link to nothing stands for a mask that cannot be read.
        if not path.is_file() and not leads_nowhere(path):
            continue
        known = found.get(path.stem)
        if known is None or _SUFFIXES.index(suffix) < _SUFFIXES.index(known.suffix.lower()):
            found[path.stem] = path
    return found


def _holds_masks(folder: Path) -> bool:
    return bool(mask_files(folder)[0])


def _folders_below(root: Path) -> list[Path]:
    """Return the folders below a folder, the upper ones first."""
    level, found = [root], []
    for _ in range(_DEPTH):
        level = [p for folder in level for p in sorted(folder.iterdir()) if _is_folder(p)]
        found += level
        if len(found) > _MOST_FOLDERS:
            break
    return found


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and _visible(path)


def _visible(path: Path) -> bool:
    return not path.name.startswith(".") and path.name != "__MACOSX"


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack the images of a zip file.

    Raises:
        InputError: it is no zip file, or it would fill the disk.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            members = [m for m in packed.infolist() if _is_image(m.filename)]
            if sum(member.file_size for member in members) > _LARGEST_ARCHIVE:
                raise InputError(
                    f"results {archive}: it holds more than 16 GiB; unpack it yourself"
                )
            for member in members:
                # extract() drops drive letters, leading slashes and "..".
                member.filename = member.filename.replace("\\", "/")
                packed.extract(member, folder)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise InputError(
            f"results {archive}: expected a folder or a zip file of masks ({error})"
        ) from None


def _is_image(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return not hidden and path.suffix.lower() in _SUFFIXES
