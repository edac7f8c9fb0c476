"""One-to-one assignment by scipy, which takes longer to import than ten frames to track."""

from __future__ import annotations

from vostrack.arrays import AnyArray, IntArray

__all__ = ["best_assignment", "load_assignment"]


def best_assignment(costs: AnyArray) -> tuple[IntArray, IntArray]:
    """Assign rows to columns one to one, with the least sum of costs (R, C).

    Returns:
        The rows, ascending, and the column of each; min(R, C) of them.
    """
    from scipy.optimize import linear_sum_assignment  # a video of one object does without

    rows, columns = linear_sum_assignment(costs)
    return rows, columns


def load_assignment() -> None:
    """Import what ``best_assignment`` needs, so that no frame has to wait for it."""
    import scipy.optimize  # noqa: F401
