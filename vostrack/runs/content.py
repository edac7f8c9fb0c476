"""What a run reads: the paths, and digests by which resuming notices changed content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from vostrack.files import expand_home, real_path
from vostrack.masks.several_frames import split_frame
from vostrack.runs.request import ClipRequest
from vostrack.video.images import images_in_folder, images_matching
from vostrack.video.names import is_pattern, is_url

__all__ = [
    "digest",
    "input_digests",
    "input_paths",
    "replaced",
    "sample_digest",
    "video_stamps",
]

# Read at a time. Everything is read: tracking a frame takes far longer than reading it.
_BLOCK = 1024 * 1024
# Of a sample: at most so many frames, and of each at most so many blocks.
_SAMPLES, _SAMPLE_BLOCK = 16, 64 * 1024


def input_paths(request: ClipRequest) -> list[tuple[str, Path]]:
    """Return the files and folders that a run reads, each with the parameter that names it.

    Of a pattern these are the folders that the images lie in. Cameras, addresses and words such as
    ``shipped`` are left out.
    """
    video = expand_home(request.video)
    named = [("video", folder) for folder in dict.fromkeys(p.parent for p in _matching(request))]
    return [*(named or _existing([("video", str(video))])), *_other_paths(request)]


def input_digests(request: ClipRequest) -> dict[str, list[str]]:
    """Return the digests of what a run reads, by parameter.

    Of a folder or pattern of frames, only the frames count, so that notes beside them may change.
    """
    digests: dict[str, list[str]] = {}
    video = expand_home(request.video)
    frames = _matching(request)
    if video.is_dir():
        frames = images_in_folder(video, _mask_files(request))
    if frames:
        base = Path(os.path.commonpath([path.parent for path in frames]))
        digests["video"] = [_combined(frames, base)]
    elif video.is_file():
        digests["video"] = [_combined([video], video.parent)]
    for name, path in _other_paths(request):
        found = digest(path, leave_out=request.output)
        if found is not None:
            digests.setdefault(name, []).append(found)
    return digests


def video_stamps(request: ClipRequest) -> dict[Path, tuple[int, int]]:
    """Return size and time of change of each file that frames are read from, for ``replaced``."""
    video = expand_home(request.video)
    files = _matching(request) or ([video] if video.is_file() else [])
    if video.is_dir():
        files = images_in_folder(video, _mask_files(request))
    return {path.absolute(): _stamp(path) for path in files}


def replaced(stamps: Mapping[Path, tuple[int, int]]) -> list[Path]:
    """Return the files that were replaced, changed or removed since ``video_stamps``."""
    return [path for path, stamp in stamps.items() if not path.exists() or _stamp(path) != stamp]


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def sample_digest(video: str) -> str:
    """Return a digest by which a video is known again without reading all of it.

    A page must open at once, and videos have gigabytes: this is made of the sizes of all files and
    of blocks from the first to the last, 16 MB in all. A single file may be renamed.

    Args:
        video: file, folder of images, or pattern.

    Returns:
        Hexadecimal, 32 digits; empty where there is no file, as for a camera or an address.
    """
    path = expand_home(video)
    if path.is_dir():
        files = images_in_folder(path)
    elif path.is_file():
        files = [path]
    elif is_pattern(video) and not is_url(video):
        files = images_matching(video)
    else:
        return ""
    total = hashlib.blake2b(digest_size=16)
    base = Path(os.path.commonpath([path.parent for path in files]))
    for path in files:
        name = path.relative_to(base).as_posix() if len(files) > 1 else ""
        total.update(os.fsencode(f"{name} {path.stat().st_size}\n"))
    for number in _spread(len(files)):
        with files[number].open("rb") as file:
            for block in _spread(-(-os.fstat(file.fileno()).st_size // _SAMPLE_BLOCK)):
                file.seek(block * _SAMPLE_BLOCK)
                total.update(file.read(_SAMPLE_BLOCK))
    return total.hexdigest()


def _spread(count: int) -> list[int]:
    """Return numbers below ``count``, evenly spread from the first to the last."""
    last = _SAMPLES - 1
    return sorted({number * (count - 1) // last for number in range(_SAMPLES)}) if count else []


def _matching(request: ClipRequest) -> list[Path]:
    """Return the frames that a pattern names; none where the video is something else."""
    video = request.video
    if not is_pattern(video) or is_url(video) or expand_home(video).exists():
        return []
    return images_matching(video, _mask_files(request))


def _mask_files(request: ClipRequest) -> list[Path]:
    return [expand_home(split_frame(entry)[1]) for entry in request.first_mask]


def _other_paths(request: ClipRequest) -> list[tuple[str, Path]]:
    named = [("first_mask", split_frame(entry)[1]) for entry in request.first_mask]
    named += [("weights", request.weights)]
    for options in (request.options.refiner_options, request.options.proposer_options):
        named += [(name, str(value)) for name, value in (options or {}).items()]
    return _existing(named)


def _existing(named: Iterable[tuple[str, str]]) -> list[tuple[str, Path]]:
    found = [(name, expand_home(text)) for name, text in named if not is_url(text)]
    return [(name, path) for name, path in found if path.exists()]


def digest(path: Path, leave_out: Path | None = None) -> str | None:
    """Return a digest of a file, or of all files in a folder and its subfolders.

    Args:
        path: a file or a folder. Hidden files in a folder do not count.
        leave_out: a folder that does not count, such as the results in a folder of inputs.

    Returns:
        Hexadecimal, 32 digits; None where there is nothing to read, as for a camera or an address.
    """
    if path.is_file():
        return _combined([path], path.parent)
    if path.is_dir():
        out = None if leave_out is None else real_path(leave_out)
        files = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
        return _combined((p for p in files if out not in real_path(p).parents), path)
    return None


def _combined(paths: Iterable[Path], base: Path) -> str:
    """Return the digest of files, with their names from the folder ``base`` on."""
    total = hashlib.blake2b(digest_size=16)
    for path in paths:
        total.update(os.fsencode(f"{path.relative_to(base).as_posix()} {path.stat().st_size}\n"))
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                total.update(block)
    return total.hexdigest()
