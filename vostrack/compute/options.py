"""The options of computing. This module loads no torch."""

from __future__ import annotations

from dataclasses import dataclass

from vostrack.checks import check_at_least
from vostrack.errors import InputError

__all__ = ["MOST_THREADS", "ComputeOptions"]

MOST_THREADS = 1024
"""No machine has more cores. With a hundred thousand threads, OpenMP ends the process."""


@dataclass(frozen=True, kw_only=True)
class ComputeOptions:
    """Computing: how much of the machine to use."""

    threads: int | None = None
    """CPU threads of a process, 1 to 1024. Results are bit-identical only with the same number.
    Default: one per core; the processes of a data set run share the cores, and on a cluster each
    has one."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: a value is out of its range.
        """
        if self.threads is not None:
            check_at_least(self, {"threads": 1})
            if self.threads > MOST_THREADS:
                raise InputError(
                    f"threads: expected at most {MOST_THREADS}, got {self.threads}; more than the "
                    "machine has cores make nothing faster"
                )
