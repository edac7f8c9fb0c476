"""The proposers by the name that ``--proposer`` takes."""

from __future__ import annotations

from collections.abc import Callable

from vostrack.errors import InputError
from vostrack.proposers.components import ForegroundComponents
from vostrack.protocols import InstanceProposer

__all__ = ["PROPOSERS", "build_proposer"]

PROPOSERS: dict[str, Callable[[], InstanceProposer]] = {
    "components": ForegroundComponents,
}


def build_proposer(name: str) -> InstanceProposer:
    """Build the proposer of that name with its defaults.

    Raises:
        InputError: there is none.
    """
    if name not in PROPOSERS:
        raise InputError(f"proposer: expected one of {', '.join(PROPOSERS)}, got {name!r}")
    return PROPOSERS[name]()
