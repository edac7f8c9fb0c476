"""The cheapest way to give each row a column of its own.

scipy has this too, but to import it takes longer than ten frames, in the middle of a video.
"""

from __future__ import annotations

import numpy as np

from vostrack.arrays import AnyArray, DoubleArray, IntArray

__all__ = ["best_assignment"]


def best_assignment(costs: AnyArray) -> tuple[IntArray, IntArray]:
    """Assign rows to columns one to one, with the least sum of costs.

    Rows are added one by one, each along the shortest augmenting path (Crouse 2016, "On
    implementing 2D rectangular assignment algorithms").

    Args:
        costs: (R, C), finite.

    Returns:
        The rows, ascending, and the column of each; min(R, C) of them.
    """
    if costs.shape[0] > costs.shape[1]:
        columns, rows = best_assignment(costs.T)
        order = np.argsort(rows)
        return rows[order], columns[order]
    costs = costs.astype(np.float64)
    count = costs.shape[0]
    row_price, column_price = np.zeros(count), np.zeros(costs.shape[1])
    column_of = np.full(count, -1)
    row_of = np.full(costs.shape[1], -1)
    for added in range(count):
        before, row_price, column_price, end = _shortest_path(
            costs, row_price, column_price, row_of, added
        )
        while end >= 0:
            row = before[end]
            row_of[end] = row
            column_of[row], end = end, column_of[row]
    return np.arange(count), column_of


def _shortest_path(
    costs: DoubleArray,
    row_price: DoubleArray,
    column_price: DoubleArray,
    row_of: IntArray,
    start: int,
) -> tuple[IntArray, DoubleArray, DoubleArray, int]:
    """Find the cheapest path from a row to a free column, over assigned pairs.

    Returns:
        The row before each column of the path, new prices of rows and columns, and the column.
    """
    length = np.full(costs.shape[1], np.inf)
    before = np.full(costs.shape[1], -1)
    open_columns = np.ones(costs.shape[1], bool)
    row, so_far = start, 0.0
    rows = []
    while True:
        rows.append(row)
        through = so_far + costs[row] - row_price[row] - column_price
        shorter = open_columns & (through < length)
        length[shorter], before[shorter] = through[shorter], row
        column = int(np.where(open_columns, length, np.inf).argmin())
        so_far, open_columns[column] = float(length[column]), False
        if row_of[column] < 0:
            break
        row = int(row_of[column])
    row_price, column_price = row_price.copy(), column_price.copy()
    row_price[start] += so_far
    visited = np.flatnonzero(~open_columns)
    for other in rows[1:]:
        row_price[other] += so_far - length[np.flatnonzero(row_of == other)[0]]
    column_price[visited] -= so_far - length[visited]
    return before, row_price, column_price, column
