"""Where the result of one job goes: a local folder, or a folder of an object store.

A result is made in a scratch folder and appears in its place in one step, ``done.json`` last; so a
folder with a valid ``done.json`` is whole, whatever was killed and when.
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
    """The place of one job's result."""

    def read(self) -> DoneRecord | None:
        """Return the record of the finished result, None where there is none that is whole."""
        ...

    def check_free(self) -> None:
        """Make sure that a new result may take the place.

        Raises:
            InputError: something that no batch run made is there.
        """
        ...

    def begin(self) -> Path:
        """Clear what an interrupted run left, and return an empty local folder to write into."""
        ...

    def commit(self, scratch: Path, record: DoneRecord) -> None:
        """Put the folder of ``begin`` in its place, replacing an older result."""
        ...

    def discard(self, scratch: Path) -> None:
        """Remove the folder of ``begin``."""
        ...


def open_store(output: str) -> ResultStore:
    """Find the store for a result.

    Args:
        output: a local path, or a URL that fsspec knows, such as ``s3://bucket/run/seq``.

    Raises:
        InputError: the URL needs a package that is not installed.
    """
    return FsspecStore(output) if "://" in output else LocalStore(Path(output))


class LocalStore:
    """A result in a local or shared folder, moved there as a whole.

    Args:
        folder: where the result goes; its parent is made when needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self) -> DoneRecord | None:
        """Return the record if it is valid and every file has the size that it notes."""
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
        """Refuse a folder with files in it and no ``done.json``: it is somebody else's.

        Raises:
            InputError: there is such a folder, or a file in its place.
        """
        if not self._folder.exists() or (self._folder / DONE).exists():
            return
        if not self._folder.is_dir() or any(self._folder.iterdir()):
            raise _foreign(str(self._folder))

    def begin(self) -> Path:
        """Make a scratch folder beside the result's, so that moving it is one step."""
        parent, name = self._folder.parent, self._folder.name
        # The exact length of the suffix keeps a job "a" from clearing what job "a.b" writes.
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
            InputError: something that no batch run made has come in between.
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
    """A result in an object store: made in a local temporary folder, then uploaded.

    While an upload is under way a marker file lies beside it, which tells an interrupted one from
    files of somebody else.

    Args:
        url: where the result goes, such as ``s3://bucket/run/seq``.

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
            raise InputError(f"output {url}: {error}; expected a URL that fsspec knows") from error
        self._fs: Any = fs
        self._path: str = path.rstrip("/")

    def read(self) -> DoneRecord | None:
        """Return the record if it is valid and every object has the size that it notes."""
        sizes = self._sizes()
        if DONE not in sizes:
            return None
        record = DoneRecord.from_json(self._fs.cat_file(f"{self._path}/{DONE}"))
        if record and all(sizes.get(name) == size for name, size in record.files.items()):
            return record
        return None

    def check_free(self) -> None:
        """Refuse a folder with objects in it and neither ``done.json`` nor the marker.

        Raises:
            InputError: there is such a folder.
        """
        sizes = self._sizes()
        if sizes and DONE not in sizes and self._MARKER not in sizes:
            raise _foreign(self._url)

    def begin(self) -> Path:
        """Make a scratch folder where temporary files go."""
        return Path(tempfile.mkdtemp(prefix="vostrack-"))

    def commit(self, scratch: Path, record: DoneRecord) -> None:
        """Upload the files and then ``done.json``.

        Raises:
            InputError: something that no batch run made has come in between.
        """
        self.check_free()
        self._fs.makedirs(self._path, exist_ok=True)
        marker = f"{self._path}/{self._MARKER}"
        self._fs.pipe_file(marker, b"")
        # The record goes first and comes back last: a folder that is half old is never taken for
        # a whole one.
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
        f"output {place}: there are files that no batch run made; choose another output folder "
        "or move them away"
    )
