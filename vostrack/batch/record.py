"""``done.json``: the note that a result folder is whole, and what it was made from."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from vostrack.batch.job import Job, JobResult, Option
from vostrack.errors import InputError

__all__ = ["DONE", "DoneRecord", "record_result"]

DONE = "done.json"

_FORMAT = 1
_DISTRIBUTIONS = ("vostrack", "torch", "torchvision", "numpy", "scipy", "opencv-python", "pillow")


@dataclass(frozen=True)
class DoneRecord:
    """What is known of a finished result.

    Attributes:
        name: the sequence.
        fingerprint: hash of the job's options, frame names and masks.
        options: the job's.
        frames: names of the frames tracked.
        seconds: time that tracking took.
        versions: of Python and of the packages that the result depends on.
        files: size in bytes of every file, by its path within the folder.
        format: version of this record.
    """

    name: str
    fingerprint: str
    options: Mapping[str, Option]
    frames: tuple[str, ...]
    seconds: float
    versions: Mapping[str, str]
    files: Mapping[str, int]
    format: int = _FORMAT

    def to_json(self) -> str:
        """Render the record as ``done.json``."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @staticmethod
    def from_json(text: str | bytes) -> DoneRecord | None:
        """Read ``done.json``; None where it is damaged or of another format."""
        try:
            data = json.loads(text)
            if data["format"] != _FORMAT:
                return None
            return DoneRecord(**{**data, "frames": tuple(data["frames"])})
        except (ValueError, KeyError, TypeError):
            return None


def record_result(job: Job, result: JobResult, folder: Path) -> DoneRecord:
    """Describe what a worker left in its folder.

    Args:
        job: the job.
        result: what the worker returned.
        folder: where it wrote.

    Raises:
        InputError: a frame has no file there.
    """
    files = {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    written = {Path(name).stem for name in files}
    bare = [name for name in job.frame_names if name not in written]
    if bare:
        raise InputError(
            f"{job.name}: the worker wrote nothing for {len(bare)} of {len(job.frames)} frames, "
            f"the first being {bare[0]}; expected a file of each frame's name"
        )
    return DoneRecord(
        name=job.name,
        fingerprint=job.fingerprint,
        options=job.options,
        frames=job.frame_names,
        seconds=round(result.seconds, 3),
        versions=_versions(),
        files=files,
    )


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
