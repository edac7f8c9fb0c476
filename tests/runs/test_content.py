"""Digests of what a run reads: every byte counts, in files and in folders of images."""

from __future__ import annotations

from pathlib import Path

import pytest

from vostrack.runs.content import digest


@pytest.mark.parametrize("place", [0, 70_000, 3_000_000, -1])
@pytest.mark.parametrize("inside", [False, True])
def test_a_change_of_one_byte_is_noticed(place: int, inside: bool, tmp_path: Path) -> None:
    content = bytearray(4_000_000)
    file = tmp_path / "frames" / "00000.bmp"
    file.parent.mkdir()
    file.write_bytes(content)
    path = file.parent if inside else file
    before = digest(path)
    content[place] = 1
    file.write_bytes(content)
    assert digest(path) != before


def test_what_is_not_there_has_no_digest(tmp_path: Path) -> None:
    assert digest(tmp_path / "0") is None
