"""What cannot be opened, and how it is told; readers by name; imports."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from vostrack.errors import InputError
from vostrack.video import open_source

MakeClip = Callable[..., Path]
READERS: list[Any] = ["auto", "decord", "opencv"]


def _sound_only(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.mp4", None, "does not exist; expected a video file"),
        ("empty.mp4", b"", r"is empty \(0 bytes\)"),
        ("noise.mp4", bytes(range(256)) * 40, "cannot be opened as a video"),
        ("notes.txt", b"no video\n" * 99, "contains no video"),
        ("page.mp4", b"<!DOCTYPE html><html></html>" * 40, "cannot be opened as a video"),
    ],
)
def test_no_video_file(
    reader: Any, name: str, content: bytes | None, words: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        open_source(tmp_path / name, reader=reader)
    assert name in str(caught.value)


@pytest.mark.parametrize("reader", READERS)
def test_sound_without_video(reader: Any, tmp_path: Path) -> None:
    _sound_only(tmp_path / "song.mp4")
    with pytest.raises(InputError, match="contains no video"):
        open_source(tmp_path / "song.mp4", reader=reader)


def test_video_without_frames(tmp_path: Path, make_clip: MakeClip) -> None:
    path = make_clip(tmp_path / "clip.mp4", 10, muxer={"movflags": "faststart"})
    data = path.read_bytes()
    # The header alone is left.
    path.write_bytes(data[: data.index(b"mdat") + 4])
    with pytest.raises(InputError, match="no decodable frame"):
        open_source(path)


def test_no_images(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match="contains no image; expected"):
        open_source(tmp_path)
    with pytest.raises(InputError, match="no image matches"):
        open_source(f"{tmp_path}/*.png")
    with pytest.raises(InputError, match="no image matches"):
        open_source(f"{tmp_path}/*.txt")


@pytest.mark.parametrize("reader", ["pyav", "decord", "opencv"])
def test_a_reader_for_what_is_no_video(reader: Any, tmp_path: Path) -> None:
    for source in (tmp_path, [np.zeros((4, 4, 3), np.uint8)], f"{tmp_path}/*.png"):
        with pytest.raises(InputError, match=f"reader: {reader} reads video files"):
            open_source(source, reader=reader)
    with pytest.raises(InputError, match="reader: expected one of auto, pyav"):
        open_source(tmp_path, reader="ffmpeg")  # type: ignore[arg-type]  # wrong on purpose


def test_decord_and_opencv_cannot_read_av1(tmp_path: Path, make_clip: MakeClip) -> None:
    path = make_clip(tmp_path / "clip.mp4", 4, codec="libsvtav1", options={"preset": "12"})
    for reader in READERS[1:]:
        with pytest.raises(InputError, match="use `reader='pyav'`"):
            open_source(path, reader=reader)
    assert open_source(path).length == 4


def test_decord_is_held_against_pyav(
    tmp_path: Path,
    make_clip: MakeClip,
    trim: Callable[..., Path],
) -> None:
    path = make_clip(tmp_path / "clip.mp4", 40, options={"g": "10", "bf": "2"})
    assert open_source(path, reader="decord").length == 40
    with pytest.raises(InputError, match=r"decord counts \d+ frames in .*, PyAV 25:"):
        open_source(trim(path, 15), reader="decord")


def test_opencv_counts_what_it_gives(
    tmp_path: Path, make_clip: MakeClip, trim: Callable[..., Path], read_number: Callable[..., int]
) -> None:
    path = trim(make_clip(tmp_path / "clip.mp4", 40, options={"g": "10", "bf": "2"}), 15)
    source = open_source(path, reader="opencv")
    assert source.length == 25
    assert [read_number(frame.image) for frame in source] == list(range(15, 40))


@pytest.mark.parametrize("reader", READERS)
def test_readers_agree(
    reader: Any, tmp_path: Path, make_clip: MakeClip, rotate: Callable[[Path, int], Path]
) -> None:
    ticks = [0, 30, 100, 140, 300]
    path = rotate(make_clip(tmp_path / "clip.mp4", ticks=ticks, options={"bf": "2"}), 90)
    expected = list(open_source(path, reader="pyav"))
    source = open_source(path, reader=reader)
    frames = list(source)
    assert source.size == (112, 64)
    assert [frame.time for frame in frames] == pytest.approx([t / 1000 for t in ticks], abs=1e-3)
    assert [frame.time for frame in source.read(3, 4)] == pytest.approx([0.14, 0.3], abs=1e-3)
    for frame, other in zip(frames, expected, strict=True):
        assert np.abs(frame.image.astype(int) - other.image).mean() < 2


def _fresh(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_import_is_light() -> None:
    code = (
        "import sys, vostrack.video; "
        "print({'av', 'cv2', 'decord', 'torch', 'PIL', 'scipy'} & set(sys.modules))"
    )
    assert _fresh(code) == "set()"


def test_decord_is_imported_after_torch(tmp_path: Path, make_clip: MakeClip) -> None:
    path = make_clip(tmp_path / "clip.mp4", 2)
    # Only the order counts: an empty module takes the place of torch.
    (tmp_path / "torch.py").touch()
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
        "from vostrack.video import open_source; "
        f"open_source({str(path)!r}, reader='decord'); names = list(sys.modules); "
        "print(names.index('torch') < names.index('decord'))"
    )
    assert _fresh(code) == "True"


def test_pyav_is_the_default_and_leaves_decord_alone(tmp_path: Path, make_clip: MakeClip) -> None:
    path = make_clip(tmp_path / "clip.mp4", 2)
    code = (
        "import sys; from vostrack.video import open_source; "
        f"list(open_source({str(path)!r})); print({{'decord', 'cv2', 'torch'}} & set(sys.modules))"
    )
    assert _fresh(code) == "set()"
