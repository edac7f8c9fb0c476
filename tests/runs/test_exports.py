"""A run's masks in other formats: written with it, or later."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vostrack import ClipRequest
from vostrack.cli import main
from vostrack.errors import InputError
from vostrack.masks import (
    VideoFrames,
    export_results,
    read_first_mask,
    read_label_map,
    read_results,
)
from vostrack.runs.clip import track_clip

Make = Callable[..., ClipRequest]


def test_a_run_with_exports(request_for: Make) -> None:
    request = request_for(export=("coco", "youtube-vis"))
    track_clip(request)
    exports = request.output / "exports"
    assert (exports / "coco.json").read_bytes() == (request.output / "masks.json").read_bytes()
    assert json.loads((exports / "youtube-vis.json").read_text())["videos"][0]["length"] == 6
    files = json.loads((request.output / "run.json").read_text())["files"]
    assert {"exports/coco.json", "exports/youtube-vis.json"} <= set(files)


def test_overwriting_removes_earlier_exports_and_nothing_else(request_for: Make) -> None:
    request = request_for(export=("coco", "youtube-vis"))
    track_clip(request)
    track_clip(request_for(export=("coco",), overwrite=True))
    names = {p.name for p in (request.output / "exports").iterdir()}
    assert names == {"coco.json", ".written"}
    (request.output / "exports" / "mine.json").write_text("mine")
    with pytest.raises(InputError, match=r"mine\.json was not written by a run"):
        track_clip(request_for(export=("coco",), overwrite=True))
    assert (request.output / "exports" / "mine.json").read_text() == "mine"


def test_an_unknown_export_is_refused_before_tracking(request_for: Make) -> None:
    with pytest.raises(InputError, match="export: expected one of davis, coco"):
        request_for(export=("cocoa",))


def test_the_results_of_a_run_are_read(request_for: Make) -> None:
    request = request_for()
    track_clip(request)
    masks = read_results(request.output)
    assert (masks.size, masks.video, masks.folder) == ((48, 64), "frames", request.output)
    assert [f.number for f in masks.frames] == list(range(6))
    assert [f.name for f in masks.frames] == [f"{k:05d}" for k in range(6)]
    assert [o.id for o in masks.objects] == [1]
    for k in range(6):
        truth = read_label_map(request.output / "masks" / f"{k:05d}.png")
        np.testing.assert_array_equal(masks.labels(k), truth)


def test_the_command(request_for: Make, capsys: pytest.CaptureFixture[str]) -> None:
    request = request_for()
    track_clip(request)
    assert main(["convert", str(request.output), "--to", "coco"]) == 0
    made = request.output.parent / "out_coco.json"
    assert "6 frames, 1 object" in capsys.readouterr().out
    assert made.read_bytes() == (request.output / "masks.json").read_bytes()
    assert main(["convert", str(request.output), "--to", "coco"]) == 2
    assert "--overwrite replaces it" in capsys.readouterr().err
    assert main(["convert", str(request.output), "--to", "cocoa"]) == 2
    assert "--to: expected one of" in capsys.readouterr().err


def test_a_size_that_the_masks_do_not_have(
    request_for: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = request_for()
    track_clip(request)
    for place in (request.output, request.output / "masks", request.output / "masks.json"):
        command = ["convert", str(place), "--to", "coco", "--output", str(tmp_path / "made.json")]
        assert main([*command, "--size", "48", "64"]) == 2
        said = f"--size: {place} states 64 x 48 pixels itself, got 48 x 64; leave --size out"
        assert said in capsys.readouterr().err
        assert not (tmp_path / "made.json").exists()
        assert main([*command, "--size", "64", "48", "--overwrite"]) == 0
        (tmp_path / "made.json").unlink()


def test_the_summary_names_colours(
    project: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    image = np.zeros((48, 64, 3), np.uint8)
    image[12:36, 8:20], image[12:36, 20:28] = (250, 0, 0), (0, 0, 250)
    Image.fromarray(image).save(tmp_path / "colours.png")
    command = ["track", "--video", str(project / "frames"), "--output", str(tmp_path / "o")]
    command += ["--first-mask", str(tmp_path / "colours.png"), "--preset", "fast", "--no-overlay"]
    assert main([*command, "--threads", "1", "--export", "cvat", "labelme"]) == 0
    printed = capsys.readouterr().out
    assert "objects: 1 is blue (#0000fa), 2 is red (#fa0000)" in printed
    assert "exports/" in printed
    assert (tmp_path / "o/exports/labelme/00003.json").is_file()


def test_the_results_of_a_run_are_a_first_mask(request_for: Make) -> None:
    request = request_for()
    track_clip(request)
    mask = read_first_mask(request.output, frames=VideoFrames(range(6), asked=3))
    truth = read_label_map(request.output / "masks" / "00003.png")
    np.testing.assert_array_equal(mask.labels, truth)
    assert (mask.ids, mask.frame) == ((1,), 3)


def test_a_failed_export_keeps_the_run(
    request_for: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> tuple[str, ...]:
        raise InputError("too many classes")

    monkeypatch.setattr("vostrack.masks.formats.mots_png.write", refuse)
    request = request_for(export=("mots-png", "coco"))
    track_clip(request)
    assert "export mots-png failed: too many classes" in caplog.text
    assert (request.output / "exports" / "coco.json").is_file()
    assert json.loads((request.output / "run.json").read_text())["status"] == "complete"


def test_exports_name_the_pictures_of_a_folder(request_for: Make, project: Path) -> None:
    frames = project / "frames"
    for path in frames.iterdir():
        with Image.open(path) as image:
            image.save(frames / f"sh_v2.{int(path.stem) + 7}.bmp")
        path.unlink()
    request = request_for(export=("labelme", "cvat-images"))
    track_clip(request)
    record = json.loads((request.output / "run.json").read_text())
    assert record["frame_files"] == [f"sh_v2.{n}.bmp" for n in range(7, 13)]
    exports = request.output / "exports"
    content = json.loads((exports / "labelme" / "sh_v2.9.json").read_text())
    assert (frames / content["imagePath"]).is_file()
    assert 'name="sh_v2.12.bmp"' in (exports / "cvat-images.xml").read_text()
    assert [frame.file for frame in read_results(request.output).frames] == record["frame_files"]
    # Runs of earlier versions do not know the files.
    del record["frame_files"]
    (request.output / "run.json").write_text(json.dumps(record))
    export_results(request.output, "labelme", project / "labelme")
    content = json.loads((project / "labelme" / "9.json").read_text())
    assert content["imagePath"] == "9.png"


def test_counted_frames_have_no_pictures_of_their_own(request_for: Make) -> None:
    request = request_for(names="counter", export=("labelme",))
    track_clip(request)
    assert json.loads((request.output / "run.json").read_text())["frame_files"] is None
    made = request.output / "exports" / "labelme" / "00000.json"
    assert json.loads(made.read_text())["imagePath"] == "00000.png"


def test_a_part_of_a_sequence_is_exported_at_its_place(
    request_for: Make, project: Path, tmp_path: Path
) -> None:
    for path in (project / "frames").iterdir():
        path.rename(path.with_name(f"sh.{1001 + int(path.stem)}.png"))
    request = request_for(start=1, stride=2, export=("cvat",))
    track_clip(request)
    places = re.compile(r'<mask frame="(\d)" outside="0"')
    written = (request.output / "exports" / "cvat.xml").read_text()
    assert places.findall(written) == ["1", "3", "5"]
    export_results(request.output, "cvat", tmp_path / "later.xml")
    assert (tmp_path / "later.xml").read_text() == written
    export_results(request.output / "masks.json", "cvat", tmp_path / "from_masks.xml")
    assert places.findall((tmp_path / "from_masks.xml").read_text()) == ["1", "3", "5"]
    again = request_for(
        "again", start=1, stride=2, first_mask=(str(request.output / "exports" / "cvat.xml"),)
    )
    track_clip(again)
    for path in (request.output / "masks").iterdir():
        assert (again.output / "masks" / path.name).read_bytes() == path.read_bytes()
    # Runs of earlier versions do not know the positions.
    record = json.loads((request.output / "run.json").read_text())
    assert record.pop("frame_positions") == [1, 3, 5]
    (request.output / "run.json").write_text(json.dumps(record))
    export_results(request.output, "cvat", tmp_path / "earlier.xml")
    assert places.findall((tmp_path / "earlier.xml").read_text()) == ["0", "1", "2"]
