"""Words for files that cannot be read or written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from vostrack.disk_room import no_room

__all__ = ["ProjectGoneError", "disk_words", "is_full"]

_REMEDIES = {
    errno.ENAMETOOLONG: "give the video a shorter name",
    errno.ENOENT: "a file or folder of the project is gone; put it back, or open the video again",
    errno.EACCES: "allow this account to write there",
    errno.EPERM: "allow this account to write there",
    errno.EROFS: "copy the video to a disk that can be written to",
}


class ProjectGoneError(FileNotFoundError):
    """The folder of an open project was moved, renamed or deleted."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"project: the folder {folder} was moved, renamed or deleted; put it back there"
        )


def is_full(error: OSError) -> bool:
    """Tell whether there is no room left."""
    return no_room(error) is not None


def disk_words(error: OSError) -> str:
    """Return what went wrong with a file, and what helps."""
    if isinstance(error, ProjectGoneError):
        return str(error)
    path = error.filename
    name = f" ({os.fsdecode(path)})" if isinstance(path, str | bytes | os.PathLike) else ""
    reason = no_room(error)
    usual = "check the disk and the folder of the project"
    remedy = _REMEDIES.get(error.errno or 0, usual) if reason is None else reason.remedy
    return f"the disk cannot be used: {error.strerror or error}{name}; {remedy}"
