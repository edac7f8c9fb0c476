from __future__ import annotations

import pytest

from vostrack.masks.colour_names import with_colour_word


@pytest.mark.parametrize(
    ("name", "spoken"),
    [
        ("#fa0a05", "red (#fa0a05)"),
        ("#00c814", "green (#00c814)"),
        ("#8c8282", "gray (#8c8282)"),
        ("#000080", "dark blue (#000080)"),
        ("ball", "ball"),
        ("#12", "#12"),
    ],
)
def test_the_nearest_word(name: str, spoken: str) -> None:
    assert with_colour_word(name) == spoken
