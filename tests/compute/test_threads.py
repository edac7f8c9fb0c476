"""Work in parts on threads: every part once, and what a part raises."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from vostrack.compute.threads import in_parts, pool


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("count", "parts"), [(0, 1), (1, 1), (15, 1), (16, 2), (17, 2), (100, 2)])
def test_parts_cover_everything_once(count: int, parts: int) -> None:
    seen = np.zeros(count, np.int64)
    given: list[slice] = []

    def run(part: slice) -> None:
        seen[part] += 1
        given.append(part)

    in_parts(run, count, 8)
    assert (seen == 1).all()
    assert len(given) == parts


@pytest.mark.usefixtures("two_threads")
def test_what_a_part_raises_is_raised() -> None:
    def fail(part: slice) -> None:
        if part.start:
            raise ArithmeticError("second part")

    with pytest.raises(ArithmeticError, match="second part"):
        in_parts(fail, 100, 8)


def test_one_pool_serves_all() -> None:
    assert pool(2) is pool(2)
    assert pool(3) is not pool(2)
