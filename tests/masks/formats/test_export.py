"""Exporting: what is refused, and what stays on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from vostrack.errors import InputError
from vostrack.masks import VideoMasks, export_results, read_results


def test_an_unknown_format_is_refused(video: VideoMasks, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"expected one of davis, coco.*got 'coko'; did you mean coco"
    ):
        export_results(video, "coko", tmp_path / "m.json")


def test_an_existing_file_stays(video: VideoMasks, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text("mine")
    with pytest.raises(InputError, match="exists already; `overwrite=True` replaces it"):
        export_results(video, "coco", tmp_path / "m.json")
    assert (tmp_path / "m.json").read_text() == "mine"
    export_results(video, "coco", tmp_path / "m.json", overwrite=True)
    assert (tmp_path / "m.json").read_text() != "mine"


def test_a_folder_is_not_replaced_by_a_file(video: VideoMasks, tmp_path: Path) -> None:
    (tmp_path / "m.json").mkdir()
    with pytest.raises(InputError, match="is not a file, but coco is written as a file"):
        export_results(video, "coco", tmp_path / "m.json", overwrite=True)


def test_results_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist; check the path"):
        read_results(tmp_path / "nothing")
