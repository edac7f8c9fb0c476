"""What a run reads: the paths, and digests by which resuming notices changed content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from vostrack.masks.several_frames import split_frame
from vostrack.runs.request import ClipRequest
from vostrack.video.images import existing_folder
from vostrack.video.names import is_pattern, is_url

__all__ = ["digest", "input_digests", "input_paths"]

# Read at a time. Everything is read: tracking a frame takes far longer than reading it.
_BLOCK = 1024 * 1024


def input_paths(request: ClipRequest) -> list[tuple[str, Path]]:
    """Return the files and folders that a run reads, each with the parameter that names it.

    Of a pattern it is the folder that the files lie in. Cameras, addresses and words such as
    ``shipped`` are left out.
    """
    named = [("video", _of_pattern(request.video))]
    named += [("first_mask", split_frame(entry)[1]) for entry in request.first_mask]
    named += [("weights", request.weights)]
    for options in (request.options.refiner_options, request.options.proposer_options):
        named += [(name, str(value)) for name, value in (options or {}).items()]
    found = [(name, Path(text).expanduser()) for name, text in named if not is_url(text)]
    return [(name, path) for name, path in found if path.exists()]


def input_digests(request: ClipRequest) -> dict[str, list[str]]:
    """Return the digests of what a run reads, by parameter."""
    digests: dict[str, list[str]] = {}
    for name, path in input_paths(request):
        found = digest(path)
        if found is not None:
            digests.setdefault(name, []).append(found)
    return digests


def _of_pattern(video: str) -> str:
    if not is_pattern(video) or is_url(video) or Path(video).exists():
        return video
    base, rest = existing_folder(Path(video).expanduser())
    return str(base) if len(Path(rest).parts) == 1 else "."


def digest(path: Path) -> str | None:
    """Return a digest of a file or of the files in a folder.

    Args:
        path: a file, or a folder of images; its subfolders do not count.

    Returns:
        Hexadecimal, 32 digits; None where there is nothing to read, as for a camera or an address.
    """
    if path.is_file():
        return _combined([path])
    if path.is_dir():
        return _combined(p for p in sorted(path.iterdir()) if p.is_file())
    return None


def _combined(paths: Iterable[Path]) -> str:
    total = hashlib.blake2b(digest_size=16)
    for path in paths:
        total.update(f"{path.name} {path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                total.update(block)
    return total.hexdigest()
