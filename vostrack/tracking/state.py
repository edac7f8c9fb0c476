"""The version of a tracker's saved state, and the refusal of any other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vostrack.errors import InputError

__all__ = ["STATE_FORMAT", "check_state_format"]

# Raise it with every change to what a tracker, an adapter or a filter saves, and with every new
# shipped network: memories of one are of no use to another.
STATE_FORMAT = 4


def check_state_format(saved: Mapping[str, Any]) -> None:
    """Refuse a state that another version wrote.

    Args:
        saved: from ``Tracker.start_state`` or ``Tracker.state``. The first format had no number.

    Raises:
        InputError: it is of another format.
    """
    found = saved.get("format", 1)
    if found != STATE_FORMAT:
        raise InputError(
            f"tracker state: expected format {STATE_FORMAT}, got {found!r}, which another version "
            "of vostrack wrote; start the tracker on the first frame again"
        )
