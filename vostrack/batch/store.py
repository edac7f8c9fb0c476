"""Storing the result of a job in a local folder or an object store.

A result is created in a scratch folder and then moved or uploaded, with ``done.json`` last. A
folder with a valid ``done.json`` is therefore complete, even if a process was killed.
"""

from __future__ import annotations

import glob
import os
import secrets
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from vostrack.batch.record import DONE, DoneRecord
from vostrack.batch.result_files import check_ours, is_unchanged, not_ours
from vostrack.errors import InputError
from vostrack.files import short_name

__all__ = ["LocalStore", "ResultStore", "open_store"]


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
        from vostrack.batch.object_store import FsspecStore

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

        def read(name: str) -> bytes | None:
            path = self._folder / name
            return path.read_bytes() if path.is_file() else None

        return record if is_unchanged(str(self._folder), record, read) else None

    def check_free(self) -> None:
        """Check that there is nothing but what a batch run wrote.

        Raises:
            InputError: the folder contains other files, or it is a file.
        """
        if not os.path.lexists(self._folder):
            return
        if not self._folder.is_dir():
            raise not_ours(str(self._folder))
        done = self._folder / DONE
        text = done.read_bytes() if done.is_file() else None
        paths = (path for path in sorted(self._folder.rglob("*")) if not path.is_dir())
        names = [path.relative_to(self._folder).as_posix() for path in paths]
        check_ours(str(self._folder), names, text, self._frames)

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
