"""The options of computing. This module loads no torch."""

from __future__ import annotations

from dataclasses import dataclass

from vostrack.checks import check_at_least

__all__ = ["ComputeOptions"]


@dataclass(frozen=True, kw_only=True)
class ComputeOptions:
    """Computing: how much of the machine to use."""

    threads: int | None = None
    """CPU threads of a process, 1 or more. Results are bit-identical only with the same number.
    Default: one per core; the processes of a data set run share the cores, and on a cluster each
    has one."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: a value is out of its range.
        """
        if self.threads is not None:
            check_at_least(self, {"threads": 1})
