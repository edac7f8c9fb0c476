"""``done.json``: the record that a result folder is complete, and how it was created."""

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
    """The record of a finished result.

    Attributes:
        name: name of the sequence.
        fingerprint: hash of the job's options, frame names and masks.
        options: options of the job.
        frames: names of the tracked frames.
        seconds: duration of tracking.
        versions: versions of Python and of the packages that affect the result.
        files: size of every file in bytes, by its path in the folder.
        format: format version of this record.
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
        """Return the text of ``done.json``."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @staticmethod
    def from_json(text: str | bytes) -> DoneRecord | None:
        """Parse ``done.json``. Return None if it is corrupt or has another format."""
        try:
            data = json.loads(text)
            if data["format"] != _FORMAT:
                return None
            return DoneRecord(**{**data, "frames": tuple(data["frames"])})
        except (ValueError, KeyError, TypeError):
            return None


def record_result(job: Job, result: JobResult, folder: Path) -> DoneRecord:
    """Create the record of a worker's result.

    Args:
        job: the job.
        result: the value that the worker returned.
        folder: the folder that the worker wrote to.

    Raises:
        InputError: a frame has no file in the folder.
    """
    files = {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    written = {Path(name).stem for name in files}
    missing = [name for name in job.frame_names if name not in written]
    if missing:
        raise InputError(
            f"{job.name}: the worker wrote no file for {len(missing)} of {len(job.frames)} frames, "
            f"the first is {missing[0]}; expected a file with the name of each frame"
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
