"""Storing the result of a job in a local folder or an object store.

A result is created in a scratch folder and then moved or uploaded, with ``done.json`` last. A
folder with a valid ``done.json`` is therefore complete, even if a process was killed.
"""

from __future__ import annotations

import glob
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Any, Protocol

from vostrack.batch.record import DONE, DoneRecord
from vostrack.errors import InputError

__all__ = ["FsspecStore", "LocalStore", "ResultStore", "open_store"]


class ResultStore(Protocol):
    """Storage for the result of one job."""

    def read(self) -> DoneRecord | None:
        """Return the record of the finished result; None if there is no complete result."""
        ...

    def check_free(self) -> None:
        """Check that a new result may be written.

        Raises:
            InputError: there are files that were not written by a batch run.
        """
        ...

    def begin(self) -> Path:
        """Remove files of an interrupted run, and return an empty local scratch folder."""
        ...

    def commit(self, scratch: Path, record: DoneRecord) -> None:
        """Move or upload the scratch folder to its destination, replacing an older result."""
        ...

    def discard(self, scratch: Path) -> None:
        """Remove the scratch folder if it exists."""
        ...


def open_store(output: str) -> ResultStore:
    """Open the store for a result.

    Args:
        output: a local path, or a URL that fsspec supports, such as ``s3://bucket/run/seq``.

    Raises:
        InputError: the URL is not supported or needs a package that is not installed.
    """
    return FsspecStore(output) if "://" in output else LocalStore(Path(output))


class LocalStore:
    """A result in a local or shared folder, which is moved there atomically.

    Args:
        folder: folder of the result; its parent is created if missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self) -> DoneRecord | None:
        """Return the record if it is valid and every file has the recorded size."""
        try:
            record = DoneRecord.from_json((self._folder / DONE).read_bytes())
            if record and all(
                (self._folder / name).stat().st_size == size for name, size in record.files.items()
            ):
                return record
        except OSError:
            return None
        return None

    def check_free(self) -> None:
        """Check that the folder is empty or missing, or contains ``done.json``.

        Raises:
            InputError: the folder contains other files, or it is a file.
        """
        if not self._folder.exists() or (self._folder / DONE).exists():
            return
        if not self._folder.is_dir() or any(self._folder.iterdir()):
            raise _foreign(str(self._folder))

    def begin(self) -> Path:
        """Create a scratch folder next to the result, so that it can be renamed atomically."""
        parent, name = self._folder.parent, self._folder.name
        # The exact suffix length prevents job "a" from removing the files of job "a.b".
        suffix = "." + "[0-9a-f]" * 8
        for prefix in (".partial-", ".old-"):
            for left in parent.glob(glob.escape(prefix + name) + suffix):
                shutil.rmtree(left, ignore_errors=True)
        scratch = parent / f".partial-{name}.{secrets.token_hex(4)}"
        scratch.mkdir(parents=True)
        return scratch

    def commit(self, scratch: Path, record: DoneRecord) -> None:
        """Write ``done.json`` and rename the folder.

        Raises:
            InputError: there are now files that were not written by a batch run.
        """
        self.check_free()
        (scratch / DONE).write_text(record.to_json(), encoding="utf-8")
        if self._folder.exists():
            old = self._folder.with_name(f".old-{self._folder.name}.{secrets.token_hex(4)}")
            self._folder.rename(old)
            scratch.rename(self._folder)
            shutil.rmtree(old, ignore_errors=True)
        else:
            scratch.rename(self._folder)

    def discard(self, scratch: Path) -> None:
        """Remove the scratch folder."""
        shutil.rmtree(scratch, ignore_errors=True)


class FsspecStore:
    """A result in an object store, which is created in a temporary folder and then uploaded.

    A marker file exists during the upload. It distinguishes an interrupted upload from other files.

    Args:
        url: URL of the result, such as ``s3://bucket/run/seq``.

    Raises:
        InputError: fsspec or the package for this kind of URL is not installed.
    """

    _MARKER = ".vostrack-upload"

    def __init__(self, url: str) -> None:
        self._url = url
        try:
            from fsspec.core import url_to_fs

            fs, path = url_to_fs(url)
        except ImportError as error:
            raise InputError(
                f"output {url}: a package is missing ({error}); pip install 'vostrack[cluster]' "
                "and the fsspec package for this kind of URL"
            ) from error
        except ValueError as error:
            raise InputError(
                f"output {url}: {error}; expected a URL that fsspec supports"
            ) from error
        self._fs: Any = fs
        self._path: str = path.rstrip("/")

    def read(self) -> DoneRecord | None:
        """Return the record if it is valid and every object has the recorded size."""
        sizes = self._sizes()
        if DONE not in sizes:
            return None
        record = DoneRecord.from_json(self._fs.cat_file(f"{self._path}/{DONE}"))
        if record and all(sizes.get(name) == size for name, size in record.files.items()):
            return record
        return None

    def check_free(self) -> None:
        """Check that the folder is empty, or contains ``done.json`` or the marker.

        Raises:
            InputError: the folder contains other objects.
        """
        sizes = self._sizes()
        if sizes and DONE not in sizes and self._MARKER not in sizes:
            raise _foreign(self._url)

    def begin(self) -> Path:
        """Create a temporary scratch folder."""
        return Path(tempfile.mkdtemp(prefix="vostrack-"))

    def commit(self, scratch: Path, record: DoneRecord) -> None:
        """Upload the files and then ``done.json``.

        Raises:
            InputError: there are now files that were not written by a batch run.
        """
        self.check_free()
        self._fs.makedirs(self._path, exist_ok=True)
        marker = f"{self._path}/{self._MARKER}"
        self._fs.pipe_file(marker, b"")
        # The record is deleted first and written last, so that a partly replaced folder never looks
        # complete.
        stale = self._sizes()
        for name in sorted(stale, key=lambda name: name != DONE):
            if name != self._MARKER:
                self._fs.rm_file(f"{self._path}/{name}")
        for name in record.files:
            target = f"{self._path}/{name}"
            self._fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
            self._fs.put_file(str(scratch / name), target)
        self._fs.pipe_file(f"{self._path}/{DONE}", record.to_json().encode())
        self._fs.rm_file(marker)
        shutil.rmtree(scratch, ignore_errors=True)

    def discard(self, scratch: Path) -> None:
        """Remove the scratch folder."""
        shutil.rmtree(scratch, ignore_errors=True)

    def _sizes(self) -> dict[str, int]:
        self._fs.invalidate_cache()
        try:
            found = self._fs.find(self._path, detail=True)
        except FileNotFoundError:
            return {}
        return {
            path[len(self._path) :].lstrip("/"): int(info["size"]) for path, info in found.items()
        }


def _foreign(place: str) -> InputError:
    return InputError(
        f"output {place}: there are files that were not written by a batch run; use another output "
        "folder, or move them"
    )
