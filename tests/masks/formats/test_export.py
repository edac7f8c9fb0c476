"""Exporting: what is refused, and what stays on disk."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vostrack.errors import InputError
from vostrack.masks import VideoMasks, export_results, read_results
from vostrack.masks.formats.napari import labels_layer
from vostrack.masks.formats.registry import check_writable


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
    (tmp_path / "m.json").write_text("")
    export_results(video, "coco", tmp_path / "m.json", overwrite=True)
    assert "annotations" in json.loads((tmp_path / "m.json").read_text())


def test_a_link_stays_and_its_target_is_replaced(video: VideoMasks, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "m.json").touch()
    (tmp_path / "m.json").symlink_to(tmp_path / "disk" / "m.json")
    with pytest.raises(InputError, match="exists already"):
        export_results(video, "coco", tmp_path / "m.json")
    export_results(video, "coco", tmp_path / "m.json", overwrite=True)
    assert (tmp_path / "m.json").is_symlink()
    assert "annotations" in json.loads((tmp_path / "disk" / "m.json").read_text())
    (tmp_path / "out").symlink_to(tmp_path / "disk", target_is_directory=True)
    export_results(video, "davis", tmp_path / "out", overwrite=True)
    assert (tmp_path / "out").is_symlink()
    assert list((tmp_path / "disk").glob("*.png"))


@pytest.mark.parametrize("format_name", ["coco", "davis"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_link_to_nothing_is_refused(
    overwrite: bool, format_name: str, video: VideoMasks, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match=r"output: .*link is a link to .*gone, which does not"):
        export_results(video, format_name, tmp_path / "link", overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


def test_a_folder_is_not_replaced_by_a_file(video: VideoMasks, tmp_path: Path) -> None:
    (tmp_path / "m.json").mkdir()
    with pytest.raises(InputError, match="is not a file, but coco is written as a file"):
        export_results(video, "coco", tmp_path / "m.json", overwrite=True)


def test_results_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist; check the path"):
        read_results(tmp_path / "nothing")


def test_no_frame(video: VideoMasks, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="contain no frame"):
        export_results(replace(video, frames=()), "cvat", tmp_path / "m.xml")


def test_a_missing_library_is_noticed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vostrack.masks.formats.registry.find_spec", lambda _: None)
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(InputError, match=r"tifffile.*pip install 'vostrack\[formats\]'"):
        check_writable("tiff", "export")


def test_a_layer_of_napari(video: VideoMasks) -> None:
    data, settings, kind = labels_layer(video)
    assert (kind, data.dtype.name, data.shape) == ("labels", "int32", (5, *video.size))
    np.testing.assert_array_equal(data[3], video.labels(3))
    assert settings["features"]["name"] == ["background", "left", "pferd süß"]
    assert settings["metadata"]["frame_numbers"] == [1001, 1002, 1003, 1004, 1005]


def test_another_folder_keeps_its_files(video: VideoMasks, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "mine.txt").write_text("mine")
    export_results(video, "davis", tmp_path / "m", overwrite=True)
    assert (tmp_path / "m" / "mine.txt").read_text() == "mine"
    assert len(list((tmp_path / "m").iterdir())) == 6
    assert not list(tmp_path.glob(".export*"))


def test_frames_and_masks_that_a_run_read_are_not_replaced(
    video: VideoMasks, tmp_path: Path
) -> None:
    results, frames = tmp_path / "out", tmp_path / "frames"
    frames.mkdir()
    (frames / f"{video.frames[0].name}.png").write_bytes(b"a frame")
    (tmp_path / "m.json").write_bytes(b"the first mask")
    results.mkdir()
    settings = {"video": str(frames), "first_mask": [f"0={tmp_path / 'm.json'}"]}
    (results / "run.json").write_text(json.dumps({"settings": settings}))
    made = replace(video, folder=results)
    for name, output in (("davis", frames), ("coco", tmp_path / "m.json")):
        with pytest.raises(InputError, match="is what the masks were made from"):
            export_results(made, name, output, overwrite=True)
    assert len(list(frames.iterdir())) == 1
    assert (tmp_path / "m.json").read_bytes() == b"the first mask"
    export_results(made, "labelme", frames, overwrite=True)  # other names
    assert not list(tmp_path.glob(".export*"))
