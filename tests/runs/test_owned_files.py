"""Inputs, and files that no run wrote, are never replaced or deleted."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vostrack import ClipRequest, InputError, build_tracker
from vostrack.batch import Job, run_jobs
from vostrack.masks.formats.catalogue import FORMATS
from vostrack.output_folder import exclusive_folder
from vostrack.runs import clip as clip_module
from vostrack.runs.clip import track_clip
from vostrack.runs.ownership import check_root, remove_written_files, written_files
from vostrack.video.names import IMAGE_SUFFIXES, VIDEO_SUFFIXES

Make = Callable[..., ClipRequest]


def content(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_masks_in_the_results_folder(request_for: Make, project: Path) -> None:
    (project / "proj" / "masks").mkdir(parents=True)
    shutil.copy(project / "mask.png", project / "proj" / "masks" / "00000.png")
    before = content(project)
    request = request_for("proj", first_mask=(str(project / "proj" / "masks"),), overwrite=True)
    with pytest.raises(InputError, match=r"output: first_mask .* lies in .* where the results go"):
        track_clip(request)
    assert content(project) == before


def test_the_video_as_the_results_folder(request_for: Make, project: Path) -> None:
    (project / "a.mp4").write_bytes(b"video")
    for name, what in (("frames", "folder of the frames"), ("a.mp4", "video itself")):
        request = request_for(name, video=str(project / name), overwrite=True)
        with pytest.raises(InputError, match=f"^output: .*/{name} is the {what}; give another"):
            track_clip(request)


def test_the_overlay_of_an_earlier_run_as_the_video(request_for: Make, project: Path) -> None:
    track_clip(request_for("proj", overlay=True))
    before = content(project)
    request = request_for("proj", video=str(project / "proj" / "overlay.mp4"), overwrite=True)
    with pytest.raises(InputError, match="output: video"):
        track_clip(request)
    assert content(project) == before


@pytest.mark.parametrize("video", ["mattes", "mattes/*.png", "."])
def test_frames_in_the_results_folder(video: str, request_for: Make, project: Path) -> None:
    shutil.copytree(project / "frames", project / "proj" / "mattes")
    shutil.copytree(project / "frames", project / "proj", dirs_exist_ok=True)
    before = content(project)
    request = request_for("proj", video=str(project / "proj" / video), overwrite=True)
    with pytest.raises(InputError, match="output:"):
        track_clip(request)
    assert content(project) == before


def test_masks_that_no_run_wrote(request_for: Make, project: Path) -> None:
    (project / "proj" / "masks").mkdir(parents=True)
    (project / "proj" / "masks" / "00003.png").write_bytes(b"drawn by hand for an hour")
    before = content(project)
    with pytest.raises(InputError, match=r"00003\.png was not written by a run of vostrack"):
        track_clip(request_for("proj", overwrite=True))
    assert content(project) == before


def test_other_files_stay_and_ours_are_replaced(request_for: Make, project: Path) -> None:
    request = request_for(save_scores=True, save_mattes=True)
    track_clip(request)
    places = ("notes.txt", "masks/notes.txt", "mattes/1/me.txt", ".state/me.txt", ".lock")
    notes = [project / "out" / name for name in places]
    (project / "out" / ".state").mkdir()
    for note in notes:
        note.write_text("mine")
    track_clip(replace(request, overwrite=True, save_scores=False, save_mattes=False))
    assert all(note.read_text() == "mine" for note in notes)
    assert not (project / "out" / "scores").exists()
    assert sorted(p.name for p in (project / "out" / "mattes").rglob("*.png")) == []
    assert len(list((project / "out" / "masks").glob("*.png"))) == 6


@pytest.mark.parametrize("name", ["out.mov", "result.mp4", "masks.json"])
def test_the_name_of_a_file_is_no_folder(name: str, request_for: Make, project: Path) -> None:
    with pytest.raises(InputError, match="looks like the name of a file"):
        track_clip(request_for(name))
    assert not (project / name).exists()


def test_every_ending_that_is_read_or_written_is_that_of_a_file(tmp_path: Path) -> None:
    written = {entry.suffix for entry in FORMATS.values() if entry.suffix}
    read = {".webp", ".tif", ".avif", ".gif", ".mkv", ".wmv", ".xml", ".zip", ".PNG"}
    for suffix in written | read | IMAGE_SUFFIXES | VIDEO_SUFFIXES:
        with pytest.raises(InputError, match="looks like the name of a file"):
            check_root(tmp_path / f"o{suffix}")
    for name in ("out", "take.2", "v1.0", ".hidden", "shot.final"):
        check_root(tmp_path / name)


def test_two_runs_in_one_folder(request_for: Make, project: Path) -> None:
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from vostrack.output_folder import exclusive_folder\n"
        "with exclusive_folder(Path(sys.argv[1])):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(project / "out")], stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    with pytest.raises(InputError, match="another run is writing to"):
        track_clip(request_for())
    other.kill()  # the lock ends with its process, whatever became of it
    other.wait()
    time.sleep(0.1)
    assert track_clip(request_for()).frames == 6


def test_two_batches_in_one_folder(project: Path, tmp_path: Path) -> None:
    frames = tuple(sorted((project / "frames").glob("*.png")))
    job = Job("clip", frames, project / "mask.png", str(tmp_path / "results" / "clip"))
    with (
        exclusive_folder(tmp_path / "results"),
        pytest.raises(InputError, match="another run is writing to"),
    ):
        run_jobs([job], "vostrack.runs.sequence:track_sequence")
    assert not (tmp_path / "results" / "clip").exists()


def test_a_folder_from_a_stranger_deletes_nothing_elsewhere(
    request_for: Make, stopped_after: Make, project: Path
) -> None:
    mine = project / "mine.txt"
    mine.write_text("for years")
    names = ["../mine.txt", str(mine), "masks/../../mine.txt", "masks/link/mine.txt", 5, None, [""]]
    request = replace(stopped_after(2), resume=False, overwrite=True)
    (request.output / "masks" / "link").symlink_to(project)
    (request.output / ".state" / "writing.json").write_text(json.dumps(names))
    (request.output / "exports").mkdir()
    (request.output / "exports" / ".written").write_text("../../mine.txt\n")
    record = json.loads((request.output / "run.json").read_text())
    (request.output / "run.json").write_text(json.dumps({**record, "files": names}))
    track_clip(request)
    assert mine.read_text() == "for years"


def test_a_record_that_is_none_of_ours(request_for: Make, project: Path) -> None:
    (project / "out").mkdir()
    others: list[Any] = [5, None, [5], "masks"]
    for files in others:
        content: dict[str, Any] = {
            "status": "complete",
            "settings": {},
            "versions": {},
            "files": files,
        }
        (project / "out" / "run.json").write_text(json.dumps({**content, "objects": [3]}))
        assert written_files(project / "out") == {"run.json"}
    (project / "out" / "run.json").write_text("[" * 100_000)
    assert written_files(project / "out") == set()


def test_removing_that_is_stopped_anywhere_can_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["run.json", "masks.json", "exports/a.json", *(f"masks/{k:05d}.png" for k in range(3))]
    unlink, calls = Path.unlink, []

    def stopping(self: Path, missing_ok: bool = False) -> None:
        calls.append(self)
        if len(calls) > stop:
            raise SystemExit
        unlink(self, missing_ok=missing_ok)

    for stop in range(len(names) + 1):
        for name in [*names, "exports/.written"]:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("a.json\n")
        record = {"status": "complete", "settings": {}, "versions": {}, "files": names}
        (tmp_path / "run.json").write_text(json.dumps(record))
        calls.clear()
        with monkeypatch.context() as patched:
            patched.setattr(Path, "unlink", stopping)
            with pytest.raises(SystemExit):
                remove_written_files(tmp_path)
        left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
        assert len(left) == len(names) + 1 - stop
        assert written_files(tmp_path) == left


def test_a_run_that_ends_while_another_begins(
    request_for: Make, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second looked at the folder while it was empty."""
    build = build_tracker

    def building(*args: Any, **more: Any) -> Any:
        monkeypatch.setattr(clip_module, "build_tracker", build)
        track_clip(request_for())
        return build(*args, **more)

    monkeypatch.setattr(clip_module, "build_tracker", building)
    with pytest.raises(InputError, match="is not empty"):
        track_clip(request_for(save_scores=True))
    assert not (project / "out" / "scores").exists()
    assert len(list((project / "out" / "masks").glob("*.png"))) == 6


@pytest.mark.parametrize("name", ["masks", ".state", "run.json", "masks/00002.png"])
def test_what_stands_in_the_place_of_results(name: str, request_for: Make, project: Path) -> None:
    place = project / "out" / name
    if name in ("masks", ".state"):
        place.parent.mkdir()
        place.write_text("mine")
    else:
        (place / "mine").mkdir(parents=True)
    with pytest.raises(InputError, match=r"output: .* move it away"):
        track_clip(request_for(overwrite=True))
    assert place.exists()
