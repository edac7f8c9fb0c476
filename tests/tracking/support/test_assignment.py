"""The cheapest assignment, against scipy's."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from vostrack.tracking.support.assignment import best_assignment


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**16), st.booleans())
def test_no_assignment_is_cheaper(rows: int, columns: int, seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    costs = rng.normal(size=(rows, columns))
    if ties:  # and pairs that are ruled out
        costs = np.where(costs > 0.8, 1e6, costs.round())
    found_rows, found_columns = best_assignment(costs)
    wanted = linear_sum_assignment(costs)
    assert found_rows.tolist() == sorted(set(found_rows.tolist()))
    assert len(set(found_columns.tolist())) == len(found_rows) == min(rows, columns)
    np.testing.assert_allclose(costs[found_rows, found_columns].sum(), costs[wanted].sum())
    if not ties:
        assert (found_rows.tolist(), found_columns.tolist()) == tuple(x.tolist() for x in wanted)
