"""Storing the result of a job in a local folder or an object store.

A result is created in a scratch folder and then moved or uploaded, with ``done.json`` last. A
folder with a valid ``done.json`` is therefore complete, even if a process was killed.
"""

from __future__ import annotations

import glob
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, Protocol

from vostrack.batch.record import DONE, DoneRecord, checksum, written_names
from vostrack.errors import InputError
from vostrack.files import is_whole_image, short_name

__all__ = ["FsspecStore", "LocalStore", "ResultStore", "open_store"]


class ResultStore(Protocol):
    """Storage for the result of one job."""

    def read(self) -> DoneRecord | None:
        """Return the record of the finished result; None if there is no complete result.

        Raises:
            InputError: another version of vostrack wrote it, or somebody changed it.
        """
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


def open_store(output: str, frames: Collection[str] = ()) -> ResultStore:
    """Open the store for a result.

    Args:
        output: a local path, or a URL that fsspec supports, such as ``s3://bucket/run/seq``.
        frames: names of the frames; files of these names are ours where the record is damaged.

    Raises:
        InputError: the URL is not supported or needs a package that is not installed.
    """
    if "://" in output:
        return FsspecStore(output, frames)
    return LocalStore(Path(output), frames)


class LocalStore:
    """A result in a local or shared folder, which is moved there atomically.

    Args:
        folder: folder of the result, or a link to it; its parent is created if missing.
        frames: names of the frames.
    """

    def __init__(self, folder: Path, frames: Collection[str] = ()) -> None:
        self._folder = folder.resolve() if folder.is_dir() else folder
        self._frames = frames

    def read(self) -> DoneRecord | None:
        """Return the record if it is valid and every file is as it was written.

        Raises:
            InputError: another version of vostrack wrote it, or an image was changed afterwards.
        """
        try:
            record = DoneRecord.from_json((self._folder / DONE).read_bytes())
        except OSError:
            return None
        except InputError as error:
            raise InputError(f"output {self._folder}: {error}") from None
        if record is None:
            return None
        paths = {name: self._folder / name for name in record.files}
        other = [n for n, p in paths.items() if p.is_file() and checksum(p) != record.checksums[n]]
        edited = next((name for name in other if is_whole_image(paths[name])), None)
        if edited is not None:
            raise InputError(
                f"output {self._folder}: {edited} was changed after the run; `overwrite=True` "
                "replaces it, and so does a run after you moved it away"
            )
        return None if other or not all(path.is_file() for path in paths.values()) else record

    def check_free(self) -> None:
        """Check that there is nothing but what a batch run wrote.

        Raises:
            InputError: the folder contains other files, or it is a file.
        """
        if not os.path.lexists(self._folder):
            return
        if not self._folder.is_dir():
            raise _foreign(str(self._folder))
        done = self._folder / DONE
        text = done.read_bytes() if done.is_file() else None
        paths = (path for path in sorted(self._folder.rglob("*")) if not path.is_dir())
        names = [path.relative_to(self._folder).as_posix() for path in paths]
        _check_ours(str(self._folder), names, text, self._frames)

    def begin(self) -> Path:
        """Create a scratch folder next to the result, so that it can be renamed atomically."""
        parent, name = self._folder.parent, short_name(self._folder.name)
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
            name = short_name(self._folder.name)
            old = self._folder.with_name(f".old-{name}.{secrets.token_hex(4)}")
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

    A marker file exists during the upload, and lists its files. It distinguishes an interrupted
    upload from other files. Of finished results, sizes are compared, not the bytes.

    Args:
        url: URL of the result, such as ``s3://bucket/run/seq``.
        frames: names of the frames.

    Raises:
        InputError: fsspec or the package for this kind of URL is not installed.
    """

    _MARKER = ".vostrack-upload"

    def __init__(self, url: str, frames: Collection[str] = ()) -> None:
        self._url = url
        self._frames = frames
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
        try:
            record = DoneRecord.from_json(self._fs.cat_file(f"{self._path}/{DONE}"))
        except InputError as error:
            raise InputError(f"output {self._url}: {error}") from None
        if record and all(sizes.get(name) == size for name, size in record.files.items()):
            return record
        return None

    def check_free(self) -> None:
        """Check that there is nothing but what a batch run wrote.

        Raises:
            InputError: the folder contains other objects.
        """
        sizes = self._sizes()
        text = self._fs.cat_file(f"{self._path}/{DONE}") if DONE in sizes else None
        if self._MARKER in sizes and text is None:
            text = self._fs.cat_file(f"{self._path}/{self._MARKER}")
        names = [name for name in sizes if name != self._MARKER]
        _check_ours(self._url, names, text, self._frames)

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
        stale = self._sizes()
        ours = {"fingerprint": record.fingerprint, "files": [*stale, *record.files]}
        self._fs.pipe_file(marker, json.dumps(ours).encode())
        # The record is deleted first and written last, so that a partly replaced folder never looks
        # complete.
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


def _check_ours(
    place: str, names: Iterable[str], text: bytes | None, frames: Collection[str]
) -> None:
    """Refuse files that no batch run wrote: replacing a result would delete them.

    Args:
        place: the folder, for the message.
        names: of the files in it.
        text: the content of ``done.json``, or of the list of files to be uploaded; None if there
            is none.
        frames: names of the frames.
    """
    ours = set() if text is None else written_names(text)
    if ours is None:
        ours = {DONE, *(name for name in names if Path(name).stem in frames)}
    foreign = next((name for name in names if name not in ours), None)
    if foreign is not None:
        raise _foreign(place, foreign)


def _foreign(place: str, name: str = "") -> InputError:
    which = f", such as {name}" if name else ""
    return InputError(
        f"output {place}: there are files that were not written by a batch run{which}; use another "
        "output folder, or move them"
    )
