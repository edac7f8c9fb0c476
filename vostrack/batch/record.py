"""``done.json``: the record that a result folder is complete, and how it was created."""

from __future__ import annotations

import json
import platform
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from vostrack.batch.job import Job, JobResult, Option
from vostrack.errors import InputError
from vostrack.files import parse_json
from vostrack.wording import counted

__all__ = ["DONE", "DoneRecord", "checksum", "record_result", "written_names"]

DONE = "done.json"

_FORMAT = 2
_DISTRIBUTIONS = ("vostrack", "torch", "torchvision", "numpy", "scipy", "opencv-python", "pillow")


@dataclass(frozen=True)
class DoneRecord:
    """The record of a finished result.

    Attributes:
        name: name of the sequence.
        fingerprint: hash of all that the result depends on; see ``Job.fingerprint``.
        inputs: hash of each kind of input by itself; see ``Job.inputs``.
        options: options of the job.
        frames: names of the tracked frames.
        seconds: duration of tracking.
        versions: versions of Python and of the packages that affect the result.
        files: size of every file in bytes, by its path in the folder.
        checksums: CRC-32 of every file, by its path.
        format: format version of this record.
        warnings: one sentence for each thing that a reader of the result should know.
    """

    name: str
    fingerprint: str
    inputs: Mapping[str, str]
    options: Mapping[str, Option]
    frames: tuple[str, ...]
    seconds: float
    versions: Mapping[str, str]
    files: Mapping[str, int]
    checksums: Mapping[str, int]
    format: int = _FORMAT
    warnings: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the text of ``done.json``."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @staticmethod
    def from_json(text: str | bytes) -> DoneRecord | None:
        """Parse ``done.json``. Return None if it is damaged, or was not written by a batch run.

        Raises:
            InputError: another version of vostrack wrote it.
        """
        data = _parsed(text)
        if not isinstance(data, dict) or not isinstance(data.get("fingerprint"), str):
            return None
        if data.get("format") != _FORMAT:
            raise InputError(
                "another version of vostrack wrote this result; `overwrite=True` computes it "
                "again, another output folder keeps it"
            )
        try:
            lists = {key: tuple(data.get(key, ())) for key in ("frames", "warnings")}
            record = DoneRecord(**{**data, **lists})
            return record if record.is_sound() else None
        except (KeyError, TypeError):
            return None

    def is_sound(self) -> bool:
        """Tell whether every frame has a file, and every file a size and a checksum."""
        tables = (self.files, self.checksums, self.inputs, self.options)
        if not all(isinstance(table, dict) for table in tables):
            return False
        numbers = (*self.files.values(), *self.checksums.values(), self.seconds)
        if not all(isinstance(number, int | float) for number in numbers):
            return False
        stems = {Path(name).stem for name in self.files}
        return set(self.files) == set(self.checksums) and set(self.frames) <= stems


def written_names(text: str | bytes) -> set[str] | None:
    """Return the names of the files that the writer of a ``done.json`` wrote, itself among them.

    Returns:
        The names; none if it is the file of another program; None if it is damaged, so that nobody
        knows.
    """
    data = _parsed(text)
    if data is None:
        return None
    if not isinstance(data, dict) or not {"fingerprint", "files"} <= set(data):
        return set()
    files = data["files"] if isinstance(data["files"], list | dict) else ()
    return {DONE, *(name for name in files if isinstance(name, str))}


def _parsed(text: str | bytes) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        return None


def checksum(path: Path) -> int:
    """Return the CRC-32 of a file."""
    return zlib.crc32(path.read_bytes())


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
            f"{job.name}: the worker wrote no file for {len(missing)} of "
            f"{counted(len(job.frames), 'frame')}, the first is {missing[0]}; expected "
            "a file with the name of each frame"
        )
    return DoneRecord(
        name=job.name,
        fingerprint=job.fingerprint,
        inputs=job.inputs,
        options=job.options,
        frames=job.frame_names,
        seconds=round(result.seconds, 3),
        versions=_versions(),
        files=files,
        checksums={name: checksum(folder / name) for name in files},
        warnings=result.warnings,
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
