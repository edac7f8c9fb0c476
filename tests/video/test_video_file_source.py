"""Video files: each known trap of containers and codecs, on a clip whose frames are numbered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.video import open_source
from vostrack.video.orientation import Orientation
from vostrack.video.video_file import VideoFileSource
from vostrack.video.video_index import scan_video

MakeClip = Callable[..., Path]
ReadNumber = Callable[[UInt8Array], int]

GROUPS = {"g": "10", "bf": "2"}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "b_frames": ("clip.mp4", {"options": GROUPS}),
    "open_groups": ("clip.mp4", {"options": {**GROUPS, "x264-params": "open-gop=1"}}),
    "matroska": ("clip.mkv", {"options": GROUPS}),
    "mpeg_ts": ("clip.ts", {"options": GROUPS}),
    "raw_h264": ("clip.h264", {"options": GROUPS}),
    "avi": ("clip.avi", {"codec": "mpeg4", "options": GROUPS}),
    "av1": ("clip.mp4", {"codec": "libsvtav1", "options": {"preset": "12", "g": "10"}}),
    "vp9_odd_size": ("clip.webm", {"codec": "libvpx-vp9", "size": (65, 113)}),
    "hevc_10_bit": (
        "clip.mkv",
        {"codec": "libx265", "pixels": "yuv420p10le", "options": {"preset": "ultrafast"}},
    ),
}
KINDS["vp9_odd_size"][1]["options"] = {"cpu-used": "8", "deadline": "realtime", "g": "10"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_every_frame_in_both_ways(
    kind: str, tmp_path: Path, make_clip: MakeClip, read_number: ReadNumber
) -> None:
    name, options = KINDS[kind]
    path = make_clip(tmp_path / name, 24, **options)
    with open_source(path) as source:
        frames = list(source)
        assert source.length == 24
        assert source.indices == range(24)
        assert source.size == options.get("size", (64, 112))
        assert source.frame_rate == pytest.approx(25)
        assert not source.truncated
        assert [frame.index for frame in frames] == list(range(24))
        assert [read_number(frame.image) for frame in frames] == list(range(24))
        assert [frame.time for frame in frames] == pytest.approx([n / 25 for n in range(24)])
        assert all(frame.image.shape == (*source.size, 3) for frame in frames)
        assert all(frame.image.flags.c_contiguous for frame in frames)
        for first, last in [(0, 0), (23, 23), (3, 9), (17, 30), (9, 12), (12, 9)]:
            again = list(source.read(first, last))
            expected = frames[first : last + 1]
            assert [(f.index, f.time) for f in again] == [(f.index, f.time) for f in expected]
            for one, other in zip(again, expected, strict=True):
                np.testing.assert_array_equal(one.image, other.image)


@pytest.mark.parametrize(("head", "tail"), [(15, 0), (4, 13), (0, 16), (10, 17)])
def test_trimmed_clip_has_its_presented_frames_only(
    head: int,
    tail: int,
    tmp_path: Path,
    make_clip: MakeClip,
    trim: Callable[..., Path],
    read_number: ReadNumber,
) -> None:
    path = trim(make_clip(tmp_path / "clip.mp4", 40, options=GROUPS), head, tail)
    source = open_source(path)
    count = 40 - head - tail
    assert source.length == count
    frames = list(source)
    assert not source.truncated
    assert [frame.index for frame in frames] == list(range(count))
    assert [read_number(frame.image) for frame in frames] == list(range(head, 40 - tail))
    assert frames[0].time == 0
    for first in (0, 4, 5, 11, count - 1):
        (frame,) = source.read(first, first)
        assert read_number(frame.image) == first + head


def test_vp8_is_counted_by_decoding(tmp_path: Path, make_clip: MakeClip) -> None:
    path = make_clip(tmp_path / "clip.webm", 12, codec="libvpx", options={"deadline": "realtime"})
    assert scan_video(path).stamps is None
    source = open_source(path)
    assert source.length == 12
    assert [frame.time for frame in source.read(3, 5)] == pytest.approx([0.12, 0.16, 0.2])


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation_is_applied(
    degrees: int,
    tmp_path: Path,
    make_clip: MakeClip,
    rotate: Callable[[Path, int], Path],
) -> None:
    path = make_clip(tmp_path / "clip.mp4", 3)
    upright = next(iter(open_source(path))).image
    rotate(path, degrees)
    source = open_source(path)
    image = next(iter(source)).image
    np.testing.assert_array_equal(image, np.rot90(upright, -degrees // 90))
    assert source.size == image.shape[:2]
    assert image.flags.c_contiguous
    _, theirs = cv2.VideoCapture(str(path)).read()
    assert np.abs(image.astype(int) - theirs[..., ::-1]).mean() < 2


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((1, 0, 0, 1), [[1, 2, 3], [4, 5, 6]]),
        ((-1, 0, 0, 1), [[3, 2, 1], [6, 5, 4]]),
        ((1, 0, 0, -1), [[4, 5, 6], [1, 2, 3]]),
        ((-1, 0, 0, -1), [[6, 5, 4], [3, 2, 1]]),
        ((0, 1, -1, 0), [[4, 1], [5, 2], [6, 3]]),
        ((0, -1, 1, 0), [[3, 6], [2, 5], [1, 4]]),
        ((0, 1, 1, 0), [[1, 4], [2, 5], [3, 6]]),
        ((0, -1, -1, 0), [[6, 3], [5, 2], [4, 1]]),
    ],
)
def test_display_matrix(matrix: tuple[int, ...], expected: list[list[int]]) -> None:
    a, b, c, d = (value << 16 for value in matrix)
    data = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], dtype=np.int32).tobytes()
    orientation = Orientation.from_matrix(data)
    image = np.repeat(np.array([[1, 2, 3], [4, 5, 6]], dtype=np.uint8)[..., None], 3, axis=2)
    np.testing.assert_array_equal(orientation.apply(image)[..., 0], expected)
    assert orientation.shape(2, 3) == np.shape(expected)


@pytest.mark.parametrize("degrees", [0, 90, -90, 180, -180, 270])
def test_angle_agrees_with_rot90(degrees: int) -> None:
    image = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    turned = Orientation.from_angle(degrees).apply(image)
    np.testing.assert_array_equal(turned, np.rot90(image, degrees // 90))


def test_variable_rate_keeps_its_times(tmp_path: Path, make_clip: MakeClip) -> None:
    ticks = [0, 10, 60, 70, 300, 340, 345, 800]
    source = open_source(make_clip(tmp_path / "clip.mkv", ticks=ticks))
    assert [frame.time for frame in source] == pytest.approx([tick / 1000 for tick in ticks])
    assert source.frame_rate == pytest.approx(7 / 0.8)
    assert [frame.time for frame in source.read(4, 5)] == pytest.approx([0.3, 0.34])


def test_late_start_counts_from_the_first_frame(tmp_path: Path, make_clip: MakeClip) -> None:
    source = open_source(make_clip(tmp_path / "clip.mkv", ticks=[3000, 3040, 3080]))
    assert [frame.time for frame in source] == pytest.approx([0, 0.04, 0.08])


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_truncated_file_gives_its_good_frames_and_says_so(
    kind: str,
    tmp_path: Path,
    make_clip: MakeClip,
    read_number: ReadNumber,
    caplog: pytest.LogCaptureFixture,
) -> None:
    muxer = {"movflags": "faststart"} if kind == "mp4" else {}
    path = make_clip(tmp_path / f"clip.{kind}", 60, options=GROUPS, muxer=muxer)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    with caplog.at_level(logging.WARNING, "vostrack.video"):
        source = open_source(path)
        numbers = [read_number(frame.image) for frame in source]
    assert source.truncated
    assert 10 < len(numbers) < 60
    assert numbers == list(range(len(numbers)))
    assert source.length == len(numbers)
    (record,) = caplog.records
    assert f"only its first {len(numbers)} frames" in record.getMessage()


def test_damage_within_is_a_gap_with_its_time(
    tmp_path: Path, make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    path = make_clip(tmp_path / "clip.mp4", 60, options={"g": "10", "bf": "0"})
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.dts is not None]
    assert places[40] is not None
    # A length that no access unit can have.
    data[places[40] : places[40] + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    source = open_source(path)
    assert not source.truncated
    assert [frame.index for frame in source] == [n for n in range(60) if n != 40]
    assert source.damage == (1.6,)
    assert not source.truncated
    assert source.length == 60
    assert "damaged at 1.60 s" in caplog.text
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_frame_that_gives_no_picture_keeps_the_numbers_of_the_others(
    tmp_path: Path,
    make_clip: MakeClip,
    read_number: ReadNumber,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = open_source(make_clip(tmp_path / "clip.mp4", 12, options=GROUPS))
    decoded = VideoFileSource._decoded

    def without_5(self: VideoFileSource, *stream: Any) -> Iterator[av.VideoFrame]:
        for frame in decoded(self, *stream):
            if read_number(frame.to_ndarray(format="rgb24")) != 5:  # type: ignore[arg-type]  # rgb24 is uint8
                yield frame

    monkeypatch.setattr(VideoFileSource, "_decoded", without_5)
    frames = list(source)
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]
    assert all(read_number(frame.image) == frame.index for frame in frames)
    assert "frames 5 to 5 cannot be decoded" in caplog.text
    assert [frame.index for frame in source.read(4, 6)] == [4, 6]


def test_reading_near_the_end_seeks(
    tmp_path: Path, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 60, options=GROUPS)
    source = open_source(clip, start=55)
    seen = []
    decoded = VideoFileSource._decoded

    def counting(self: VideoFileSource, *stream: Any) -> Iterator[av.VideoFrame]:
        for frame in decoded(self, *stream):
            seen.append(frame.pts)
            yield frame

    monkeypatch.setattr(VideoFileSource, "_decoded", counting)
    assert len(list(source)) == 5
    assert len(seen) <= 20


def test_recording_that_begins_within_a_group(
    tmp_path: Path, make_clip: MakeClip, read_number: ReadNumber
) -> None:
    path = make_clip(tmp_path / "clip.ts", 60, options=GROUPS)
    path.write_bytes(path.read_bytes()[188 * 40 :])
    source = open_source(path)
    frames = list(source)
    begin = read_number(frames[0].image)
    assert begin > 0
    assert [frame.index for frame in frames] == list(range(60 - begin))
    assert [read_number(frame.image) for frame in frames] == list(range(begin, 60))
    assert source.length == 60 - begin
    assert [read_number(frame.image) for frame in source.read(7, 8)] == [begin + 7, begin + 8]


def test_change_of_size_is_an_error(tmp_path: Path, make_clip: MakeClip) -> None:
    parts = [
        make_clip(tmp_path / f"{height}.h264", 4, size=(height, 112)).read_bytes()
        for height in (64, 96)
    ]
    path = tmp_path / "both.h264"
    path.write_bytes(b"".join(parts))
    source = open_source(path)
    with pytest.raises(InputError, match=r"frame 4 is 112 x 96 .* first frame is 112 x 64"):
        list(source)


def test_cover_picture_is_no_video(tmp_path: Path, make_clip: MakeClip) -> None:
    path = tmp_path / "song.mp3"
    cover = make_clip(tmp_path / "cover.avi", 1, codec="mjpeg", pixels="yuvj420p")
    with av.open(str(path), "w") as container, av.open(str(cover)) as picture:
        sound = container.add_stream("libmp3lame", rate=48000)
        stream = container.add_stream_from_template(picture.streams.video[0])
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.int16), "s16", "mono")
        tone.sample_rate = 48000
        packets = [*sound.encode(tone), *sound.encode(None)]
        for packet in picture.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
        container.mux(packets)
    with pytest.raises(InputError, match="contains no video"):
        open_source(path)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "name",
    [
        "02_hummingbird.mp4",
        pytest.param("04_coffee.mp4", marks=pytest.mark.slow),
        pytest.param("21_biker.mp4", marks=pytest.mark.slow),
    ],
)
def test_real_clips_agree_with_opencv(name: str, shared_dir: Path) -> None:
    path = shared_dir / "data" / "clips" / name
    source = open_source(path)
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.grab():
        if count % 40 == 0:
            (frame,) = source.read(count, count)
            theirs = capture.retrieve()[1][..., ::-1]
            assert frame.image.shape == theirs.shape
            assert np.abs(frame.image.astype(int) - theirs).mean() < 3
        count += 1
    assert source.length == count
    assert sum(1 for _ in open_source(path, start=count - 5)) == 5


@pytest.mark.shared_data
def test_real_folder_of_frames(shared_dir: Path) -> None:
    folder = min((shared_dir / "data" / "davis-dev" / "JPEGImages").glob("*/*"))
    files = sorted(folder.glob("*.jpg"))
    source = open_source(folder)
    assert source.length == len(files) > 10
    for number in (0, len(files) - 1):
        (frame,) = source.read(number, number)
        theirs = cv2.imread(str(files[number]))
        assert theirs is not None
        assert np.abs(frame.image.astype(int) - theirs[..., ::-1]).max() <= 3
    capture = cv2.VideoCapture(str(folder / "%05d.jpg"))
    assert source.length == capture.get(cv2.CAP_PROP_FRAME_COUNT)
