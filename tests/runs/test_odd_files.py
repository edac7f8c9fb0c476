"""Pipes, folders and damage in the place of files: refused at once, or said in the record."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from vostrack import ClipRequest, InputError
from vostrack.cli import main
from vostrack.masks import read_first_mask, read_label_map, write_label_map
from vostrack.runs import clip as clip_module
from vostrack.runs.clip import track_clip
from vostrack.video import VideoWriter, open_source

Make = Callable[..., ClipRequest]


def damaged_video(path: Path) -> Path:
    """Encode 24 frames of a box that moves, a key frame every six, and damage three of them."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=25, options={"g": "6"})
        stream.height, stream.width = 48, 64
        for index in range(24):
            image = np.random.default_rng(index).integers(60, 120, (48, 64, 3), dtype=np.uint8)
            image[12:36, 8 + index : 28 + index] = (220, 40, 30)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.dts is not None]
    random = np.random.default_rng(3)
    for position, size in packets[8:11]:
        assert position is not None
        start = position + size // 4
        data[start : position + size] = random.bytes(position + size - start)
    path.write_bytes(data)
    return path


def test_a_whole_run_over_a_damaged_video_says_so(
    request_for: Make, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = damaged_video(project / "damaged.avi")
    request = request_for(video=str(video))
    summary = track_clip(request)
    assert (summary.damaged, summary.truncated) == (True, False)
    record = json.loads((request.output / "run.json").read_text())
    assert record["status"] == "damaged"
    assert record["damaged"]
    assert all(0.2 <= time <= 0.5 for time in record["damaged"])
    command = ["track", "--video", str(video), "--first-mask", *request.first_mask]
    command += ["--output", str(project / "cli"), "--preset", "fast", "--no-overlay"]
    assert main(command) == 1
    assert "damaged at" in capsys.readouterr().err


needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")


@needs_pipes
@pytest.mark.parametrize("suffix", ["png", "json", "jpg"])
def test_a_pipe_as_the_mask_is_refused_at_once(suffix: str, tmp_path: Path) -> None:
    pipe = tmp_path / f"mask.{suffix}"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match=r"is a pipe, .* write the masks? to a file first"):
        read_first_mask(pipe)
    with pytest.raises(InputError, match="is a pipe"):
        read_label_map(pipe)


@needs_pipes
@pytest.mark.parametrize("place", ["JPEGImages/480p/a/00001.jpg", "Annotations/480p/a/00000.png"])
def test_a_data_set_with_a_pipe_ends_with_the_reason(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = np.zeros((40, 48), np.uint8)
    labels[10:30, 10:30] = 1
    for number in range(3):
        for kind in ("JPEGImages/480p/a", "Annotations/480p/a"):
            (tmp_path / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.repeat(labels[..., None] * 200, 3, 2)).save(
            tmp_path / f"JPEGImages/480p/a/{number:05d}.jpg"
        )
        Image.fromarray(labels).save(tmp_path / f"Annotations/480p/a/{number:05d}.png")
    (tmp_path / "ImageSets/2017").mkdir(parents=True)
    (tmp_path / "ImageSets/2017/val.txt").write_text("a\n")
    (tmp_path / place).unlink()
    os.mkfifo(tmp_path / place)
    command = ["davis", "run", "--root", str(tmp_path), "--preset", "fast", "--output"]
    assert main([*command, str(tmp_path / "results")]) == 1
    captured = capsys.readouterr()
    assert "is a pipe" in captured.out + captured.err


def test_an_output_that_is_a_link_to_a_folder(request_for: Make, project: Path) -> None:
    (project / "disk").mkdir()
    (project / "out").symlink_to(project / "disk", target_is_directory=True)
    track_clip(request_for())
    assert len(list((project / "disk" / "masks").iterdir())) == 6


@pytest.mark.parametrize("place", ["out", "out/below"])
def test_an_output_that_is_a_link_to_itself(
    place: str, request_for: Make, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "out").symlink_to(project / "out")
    request = request_for(place)
    words = {"out": "out is a link to .*or leads back", "out/below": "out/below cannot be made"}
    with pytest.raises(InputError, match=f"output: .*{words[place]}"):
        track_clip(request)
    # A video, a mask or a folder to convert may be one, too.
    for command in (
        ["track", "--video", "LOOP", "--first-mask", request.first_mask[0], "--output", "x"],
        ["track", "--video", request.video, "--first-mask", "LOOP", "--output", "x"],
        ["convert", "LOOP", "--to", "coco", "--output", "x"],
        ["eval", "LOOP", "--root", "LOOP"],
        ["propose", "--video", request.video, "--method", "hough", "--output", "LOOP"],
    ):
        loop = str(project / "out")
        assert main([str(loop if word == "LOOP" else word) for word in command]) in (1, 2)
        assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("frames", ["frames", "frames/*.png"])
def test_a_frame_that_is_a_link_to_nothing(frames: str, request_for: Make, project: Path) -> None:
    frame = project / "frames" / "00002.png"
    frame.unlink()
    frame.symlink_to(project / "gone.png")
    with pytest.raises(InputError, match=r"00002\.png is a link to .*gone\.png, which does not"):
        track_clip(request_for(video=str(project / frames)))
    assert not (project / "out").exists()


@pytest.mark.parametrize("kind", ["file", "link to a file", "broken link"])
def test_an_output_that_is_no_folder(kind: str, request_for: Make, project: Path) -> None:
    target = project / "target"
    if kind != "broken link":
        target.write_text("mine")
    if kind == "file":
        target.rename(project / "out")
    else:
        (project / "out").symlink_to(target)
    with pytest.raises(InputError, match=r"output: .*out is a (file|link)"):
        track_clip(request_for())
    assert target.exists() == (kind == "link to a file")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_an_output_that_cannot_be_written(request_for: Make, project: Path) -> None:
    (project / "locked").mkdir(mode=0o500)
    with pytest.raises(InputError, match=r"output: .*locked cannot be written to; give another"):
        track_clip(request_for("locked/out"))


def test_an_output_that_cannot_be_made(request_for: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    make = Path.mkdir

    def refuse(path: Path, *args: Any, **more: Any) -> None:
        if path.name == "out":
            raise PermissionError(13, "Permission denied", str(path))
        make(path, *args, **more)

    monkeypatch.setattr(Path, "mkdir", refuse)
    words = r"output: .*out cannot be made \(Permission denied\); give a folder as `output`"
    with pytest.raises(InputError, match=words):
        track_clip(request_for())


def test_two_names_of_one_folder_are_one(
    request_for: Make, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    request = request_for()
    track_clip(replace(request, output=Path("frames/../out")))
    with pytest.raises(InputError, match="is not empty"):
        track_clip(replace(request, output=Path("out")))
    inside = replace(request, video="./out/../out/masks", output=Path("out"), overwrite=True)
    with pytest.raises(InputError, match=r"output: video .* lies in"):
        track_clip(inside)


@pytest.mark.parametrize("name", ["frame.pt", "start.pt", "settings.json", "frames.jsonl"])
def test_a_folder_in_the_place_of_a_state_file(name: str, stopped_after: Make) -> None:
    request = stopped_after(3)
    (request.output / ".state" / name).unlink()
    (request.output / ".state" / name).mkdir()
    if name in ("start.pt", "settings.json"):
        with pytest.raises(InputError, match=r"resume: the state in .* cannot be used"):
            track_clip(request)
        request = replace(request, resume=False, overwrite=True)
    track_clip(request)  # what is not needed is made again
    assert len(list((request.output / "masks").iterdir())) == 6
    assert json.loads((request.output / "run.json").read_text())["status"] == "complete"


def test_an_observer_that_lacks_a_method(request_for: Make, project: Path) -> None:
    class Half:
        finetuning = first_pass = frame = print

    observer: Any = Half()
    with pytest.raises(InputError, match=r"^observer: .* got Half without writing; derive"):
        track_clip(request_for(), observer)
    assert not (project / "out").exists()


@pytest.mark.parametrize("stride", [1, 2])
def test_the_overlay_has_the_sound_of_a_video_at_any_stride(
    stride: int, request_for: Make, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = project / "clip.mp4"
    with VideoWriter(clip, 25) as writer:
        for frame in open_source(project / "frames"):
            writer.add(frame.image, frame.time)
    given: list[object] = []

    def note(path: Path, frames: object, *, audio_from: object, **options: object) -> None:
        given.append(audio_from)

    monkeypatch.setattr(clip_module, "write_overlay", note)
    monkeypatch.setenv("HOME", str(project))
    track_clip(request_for(video="~/clip.mp4", stride=stride, overlay=True))
    track_clip(request_for("other", stride=stride, overlay=True))
    assert given == [clip, None]


def test_a_mask_of_a_screenshot_of_a_stretched_video(request_for: Make, project: Path) -> None:
    clip = project / "clip.mp4"
    with VideoWriter(clip, 25, pixel_aspect=Fraction(2)) as writer:
        for frame in open_source(project / "frames"):
            writer.add(frame.image, frame.time)
    labels = read_label_map(project / "mask.png")
    write_label_map(project / "mask.png", np.repeat(labels, 2, axis=1))
    words = (
        r"128x48 .* expected the video's 64x48; the pixels of this video are 2:1, .* size, 64x48"
    )
    with pytest.raises(InputError, match=words):
        track_clip(request_for(video=str(clip)))
    # Frames without such pixels have other causes.
    with pytest.raises(InputError, match="64x48; create the mask on a frame of this video"):
        track_clip(request_for())
