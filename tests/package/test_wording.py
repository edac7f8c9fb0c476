"""How messages put things into words."""

from __future__ import annotations

import pytest

from vostrack.wording import counted


@pytest.mark.parametrize(
    ("count", "plural", "shown"),
    [(0, None, "0 boxs"), (1, None, "1 box"), (1, "boxes", "1 box"), (2, "boxes", "2 boxes")],
)
def test_one_is_singular(count: int, plural: str | None, shown: str) -> None:
    assert counted(count, "box", plural) == shown
