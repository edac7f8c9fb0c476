"""An export replaces earlier exports, and no files of another kind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from vostrack.errors import InputError
from vostrack.masks import VideoMasks, export_results


def test_frames_of_the_same_names_stay(video: VideoMasks, tmp_path: Path) -> None:
    export_results(video, "davis", tmp_path / "out")
    export_results(video, "davis", tmp_path / "out", overwrite=True)
    frame = sorted((tmp_path / "out").rglob("*.png"))[-1]
    Image.new("RGB", (8, 6)).save(frame)
    before = frame.read_bytes()
    with pytest.raises(InputError, match=f"{frame.name} was not written by such an export"):
        export_results(video, "davis", tmp_path / "out", overwrite=True)
    assert frame.read_bytes() == before


def test_json_of_another_kind_stays(video: VideoMasks, tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(json.dumps({"mine": 1}))
    with pytest.raises(InputError, match="was not written by such an export"):
        export_results(video, "coco", path, overwrite=True)
    assert json.loads(path.read_text()) == {"mine": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_of_a_run_stays(video: VideoMasks, tmp_path: Path) -> None:
    export_results(video, "coco", tmp_path / "masks.json")
    (tmp_path / "masks").mkdir()
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(InputError, match="belongs to a run"):
        export_results(video, "coco", tmp_path / "masks.json", overwrite=True)


def test_a_suffix_of_another_format(video: VideoMasks, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"mine")
    with pytest.raises(InputError, match=r"is no \.json file.*photo\.json"):
        export_results(video, "coco", path, overwrite=True)
    assert path.read_bytes() == b"mine"
