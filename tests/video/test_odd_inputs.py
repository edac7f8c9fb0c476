"""Names, streams, damage and readers: inputs that once gave a wrong result without a word."""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from tests.video.ffprobe import ffprobe
from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.video import VideoWriter, open_source, write_overlay

CASES = Path(__file__).parent / "cases"
MakeClip = Callable[..., Path]
ReadNumber = Callable[[UInt8Array], int]


NAMES = ["2024-05-01T12:30:05.mp4", "a%03d.mp4", "http:clip.mp4", "[1].mp4", "concat:a|b.mp4"]


@pytest.mark.parametrize("reader", ["pyav", "opencv", "decord"])
@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_only_a_name(
    name: str, reader: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(CASES / "colon_in_video_name" / "clip.mp4", tmp_path / name)
    monkeypatch.chdir(tmp_path)
    frames = list(open_source(name, reader=reader))
    assert len(frames) == open_source(CASES / "colon_in_video_name" / "clip.mp4").length
    folder = tmp_path / "out:%d [x]"
    folder.mkdir()
    palette = np.zeros((256, 3), np.uint8)
    labels = np.zeros(frames[0].image.shape[:2], np.uint8)
    target = Path(folder.name, name)
    pairs = [(frame, labels) for frame in frames]
    write_overlay(target, pairs, palette=palette, frame_rate=25.0, audio_from=name)
    assert open_source(target).length == len(frames)


@pytest.mark.parametrize(
    "pattern", ["shot [v2]/*.jpg", "shot [v2]/000[12].jpg", "shot [v2]", "./shot [v2]/*"]
)
def test_brackets_of_a_folder_that_exists(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES / "brackets_in_folder_name")
    assert open_source(pattern).length == (2 if "[12]" in pattern else 4)


def test_brackets_of_files_and_of_nested_folders(tmp_path: Path) -> None:
    folder = tmp_path / "a[b]" / "c*d"
    folder.mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (8, 6)).save(folder / f"[x]{number}.png")
    assert open_source(f"{folder}/*.png").length == 3
    assert open_source(f"{folder}/[x]*.png").length == 3
    with pytest.raises(InputError, match=r"\[ \] are wildcards"):
        open_source(f"{tmp_path}/none[1]/*.png")


@pytest.mark.parametrize("name", ["preview_first.mkv", "preview_first.mp4"])
def test_the_movie_and_not_its_preview(name: str) -> None:
    source = open_source(CASES / "preview_stream_first" / name)
    assert source.size == (128, 192)
    assert source.length == 10


def _streams(path: Path, *clips: Path, default: int | None = None) -> Path:
    """Write the video streams of some clips to one file."""
    from av.stream import Disposition

    with av.open(str(path), "w") as output:
        inputs = [av.open(str(clip)) for clip in clips]
        streams = [output.add_stream_from_template(c.streams.video[0]) for c in inputs]
        for k, stream in enumerate(streams):
            stream.disposition = Disposition.default if k == default else Disposition(0)
        for container, stream in zip(inputs, streams, strict=True):
            for packet in container.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    output.mux(packet)
            container.close()
    return path


@pytest.mark.parametrize("reader", ["pyav", "opencv", "decord"])
def test_the_larger_of_two_movies(reader: Any, tmp_path: Path, make_clip: MakeClip) -> None:
    small = make_clip(tmp_path / "small.mp4", 8, size=(64, 112))
    large = make_clip(tmp_path / "large.mp4", 8, size=(128, 224))
    path = _streams(tmp_path / "both.mkv", small, large)
    if reader == "pyav":
        assert open_source(path).size == (128, 224)
        return
    # Both take the first stream.
    with pytest.raises(InputError, match="takes another stream"):
        open_source(path, reader=reader)


def test_the_default_movie_as_ffmpeg_chooses(tmp_path: Path, make_clip: MakeClip) -> None:
    small = make_clip(tmp_path / "small.mp4", 8, size=(64, 112))
    large = make_clip(tmp_path / "large.mp4", 8, size=(128, 224))
    assert open_source(_streams(tmp_path / "a.mkv", large, small, default=1)).size == (64, 112)
    assert open_source(_streams(tmp_path / "b.mkv", small, large, default=1)).size == (128, 224)


@pytest.mark.parametrize("aspect", [Fraction(64, 45), Fraction(4, 3), Fraction(8, 9)])
@pytest.mark.parametrize("turned", [False, True])
def test_the_shape_of_a_pixel(
    aspect: Fraction,
    turned: bool,
    tmp_path: Path,
    make_clip: MakeClip,
    rotate: Callable[[Path, int], Path],
) -> None:
    path = tmp_path / "clip.mp4"
    if aspect == Fraction(64, 45):
        shutil.copy(CASES / "non_square_pixels" / "sar.mp4", path)
    else:
        plain = make_clip(tmp_path / "plain.mp4", 4)
        with av.open(str(plain)) as old, av.open(str(path), "w") as new:
            stream: Any = new.add_stream("libx264", rate=25)
            stream.height, stream.width, stream.pix_fmt = 64, 112, "yuv420p"
            stream.codec_context.sample_aspect_ratio = aspect
            for picture in old.decode(video=0):
                new.mux(stream.encode(picture))
            new.mux(stream.encode(None))
    if turned:
        rotate(path, 90)
    source = open_source(path)
    assert source.pixel_aspect == (1 / aspect if turned else aspect)
    target = tmp_path / "out.mp4"
    with VideoWriter(target, source.frame_rate, pixel_aspect=source.pixel_aspect) as writer:
        for frame in source:
            writer.add(frame.image, frame.time)
    assert open_source(target).pixel_aspect == source.pixel_aspect
    (found,) = ffprobe(target, "-show_entries", "stream=sample_aspect_ratio")["streams"]
    assert found["sample_aspect_ratio"] == str(source.pixel_aspect).replace("/", ":")


@pytest.mark.parametrize("suffix", ["mp4", "png", "fifo"])
def test_a_pipe_is_refused_at_once(suffix: str, tmp_path: Path) -> None:
    pipe = tmp_path / f"pipe.{suffix}"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match=r"is a pipe, .* write the video to a file first"):
        open_source(pipe)


def test_standard_input_is_refused() -> None:
    with pytest.raises(InputError, match=r"standard input .* write the video to a file first"):
        open_source("-")


def _mirror(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("matrix", [(-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0)])
@pytest.mark.parametrize("reader", ["pyav", "opencv", "decord"])
def test_mirrored_videos(
    matrix: tuple[int, int, int, int], reader: Any, tmp_path: Path, make_clip: MakeClip
) -> None:
    path = make_clip(tmp_path / "clip.mp4", 3)
    upright = next(iter(open_source(path))).image
    _mirror(path, matrix)
    if reader != "pyav":
        with pytest.raises(InputError, match=r"mirrored, .* use `reader='pyav'`"):
            open_source(path, reader=reader)
        return
    a, _, c, d = matrix
    image = upright if a else upright.transpose(1, 0, 2)
    image = image[:, :: -1 if a < 0 or c < 0 else 1]
    image = image[:: -1 if d < 0 or (not a and matrix[1] < 0) else 1]
    np.testing.assert_array_equal(next(iter(open_source(path))).image, image)


@pytest.mark.parametrize("reader", ["opencv", "decord"])
@pytest.mark.parametrize("size", [(96, 112), (64, 80)])
def test_a_change_of_size_with_other_readers(
    reader: Any, size: tuple[int, int], tmp_path: Path, make_clip: MakeClip
) -> None:
    parts = [
        make_clip(tmp_path / f"{k}.ts", 4, size=s).read_bytes()
        for k, s in enumerate([(64, 112), size])
    ]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(parts))
    with pytest.raises(InputError, match=r"frame \d is .* first frame is 112 x 64"):
        list(open_source(path, reader=reader))


def _huge_png(path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        whole = kind + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("kind", ["png", "bmp", "ppm"])
def test_a_huge_header_among_the_frames(place: int, kind: str, tmp_path: Path) -> None:
    for number in range(3):
        Image.new("RGB", (8, 6)).save(tmp_path / f"{number}.{kind}")
    huge = tmp_path / f"{place}.{kind}"
    if kind == "png":
        _huge_png(huge)
    elif kind == "ppm":
        huge.write_bytes(b"P6\n60000 60000\n255\n")
    else:
        data = bytearray(huge.read_bytes())
        data[18:26] = struct.pack("<ii", 60000, 60000)
        huge.write_bytes(data)
    with pytest.raises(InputError, match=rf"{place}\.{kind} states a size that is too") as caught:
        list(open_source(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("case", ["opencv", "decord"])
def test_readers_agree_on_sound_clips(case: Any, tmp_path: Path, make_clip: MakeClip) -> None:
    path = make_clip(tmp_path / "clip.mp4", 12)
    assert open_source(path, reader=case).length == 12


def test_opencv_is_refused_where_it_loses_pictures(tmp_path: Path, make_clip: MakeClip) -> None:
    import cv2

    path = CASES / "avi_h264_with_gaps" / "vfr.avi"
    capture, count = cv2.VideoCapture(str(path)), 0
    while capture.grab():
        count += 1
    if count == 7:
        assert open_source(path, reader="opencv").length == 7
    else:
        with pytest.raises(InputError, match=r"OpenCV reads .* missing or repeated"):
            open_source(path, reader="opencv")
