"""Files that cannot be written for want of room: what it means, and what helps."""

from __future__ import annotations

import errno
from dataclasses import dataclass

__all__ = ["NoRoom", "no_room"]


@dataclass(frozen=True)
class NoRoom:
    """Why there is no room for a file."""

    problem: str
    """What is wrong, to be said after the name of the file."""

    remedy: str
    """What helps, to be said after a semicolon."""


_FULL = NoRoom("no space is left", "free some space")
_REASONS = {
    errno.ENOSPC: _FULL,
    # What an account may fill; Windows has no such error.
    getattr(errno, "EDQUOT", errno.ENOSPC): _FULL,
    errno.EFBIG: NoRoom(
        "too large for its disk, or for a limit of this shell",
        "raise the limit (ulimit -f), or use a disk that takes larger files (FAT32 takes 4 GB)",
    ),
}


def no_room(error: OSError) -> NoRoom | None:
    """Return why there is no room; None for every other error."""
    return _REASONS.get(error.errno or 0)
