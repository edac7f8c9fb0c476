"""Storing the result of a job in an object store."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from vostrack.batch.record import DONE, DoneRecord
from vostrack.batch.result_files import check_ours, is_unchanged
from vostrack.errors import InputError

__all__ = ["FsspecStore"]


class FsspecStore:
    """A result in an object store, which is created in a temporary folder and then uploaded.

    A marker file exists during the upload, and lists its files. It distinguishes an interrupted
    upload from other files. Of finished results every byte is compared, as in a folder: stores keep
    checksums of many kinds, and masks are small.

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
        """Return the record if it is valid and every object is as it was written.

        Raises:
            InputError: another version of vostrack wrote it, or an image was changed afterwards.
        """
        sizes = self._sizes()
        if DONE not in sizes:
            return None
        try:
            record = DoneRecord.from_json(self._fs.cat_file(f"{self._path}/{DONE}"))
        except InputError as error:
            raise InputError(f"output {self._url}: {error}") from None
        if record is None:
            return None
        paths = {name: f"{self._path}/{name}" for name in record.files if name in sizes}
        contents = self._fs.cat(list(paths.values())) if paths else {}
        found = {name: contents[path] for name, path in paths.items()}
        return record if is_unchanged(self._url, record, found.get) else None

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
        check_ours(self._url, names, text, self._frames)

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
