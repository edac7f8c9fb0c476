"""Overlays and the files they are written to, read back by PyAV and OpenCV."""

from __future__ import annotations

import logging
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from vostrack.arrays import DoubleArray, UInt8Array
from vostrack.errors import InputError
from vostrack.video import Frame, VideoWriter, draw_overlay, open_source, write_overlay
from vostrack.video.alpha_video import PRORES, AlphaVideoWriter

MakeClip = Callable[..., Path]


def _palette() -> UInt8Array:
    return np.random.default_rng(3).integers(0, 256, (256, 3), dtype=np.uint8)


def _overlay_by_loops(
    image: UInt8Array, labels: UInt8Array, palette: UInt8Array, alpha: float, contour: bool
) -> DoubleArray:
    result = image.astype(np.float64)
    height, width = labels.shape
    for y in range(height):
        for x in range(width):
            label = labels[y, x]
            if label == 0:
                continue
            neighbours = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            edge = any(
                0 <= v < height and 0 <= u < width and labels[v, u] != label for v, u in neighbours
            )
            weight = 1.0 if contour and edge else alpha
            result[y, x] = (1 - weight) * image[y, x] + weight * palette[label]
    return result


@pytest.mark.parametrize("contour", [True, False])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
def test_overlay_is_the_blend(alpha: float, contour: bool) -> None:
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (13, 17, 3), dtype=np.uint8)
    labels = np.zeros((13, 17), np.uint8)
    labels[2:9, 3:9], labels[4:13, 7:17], labels[0, 0] = 1, 200, 255
    before = image.copy()
    drawn = draw_overlay(image, labels, palette=_palette(), alpha=alpha, contour=contour)
    expected = _overlay_by_loops(image, labels, _palette(), alpha, contour)
    assert drawn.dtype == np.uint8
    np.testing.assert_allclose(drawn, expected, atol=0.51)
    np.testing.assert_array_equal(drawn[labels == 0], image[labels == 0])
    np.testing.assert_array_equal(image, before)


def test_overlay_refuses_what_does_not_fit() -> None:
    image, labels = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint8)
    with pytest.raises(
        InputError, match="label map: expected 6 x 4 pixels like its frame, got 4 x 6"
    ):
        draw_overlay(image, labels.T, palette=_palette())
    with pytest.raises(InputError, match="got int64"):
        draw_overlay(image, labels.astype(np.int64), palette=_palette())
    with pytest.raises(InputError, match="palette: expected"):
        draw_overlay(image, labels, palette=_palette()[:9])
    with pytest.raises(InputError, match="alpha: expected"):
        draw_overlay(image, labels, palette=_palette(), alpha=1.5)
    with pytest.raises(InputError, match=r"frame: expected .* of \(4, 6\)"):
        draw_overlay(labels, labels, palette=_palette())


def _bars(height: int, width: int) -> UInt8Array:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 64, 200), (250, 250, 250), (9, 9, 9)]
    image = np.zeros((height, width, 3), np.uint8)
    for number, colour in enumerate(colours):
        image[:, number * 16 : number * 16 + 16] = colour
    return image


@pytest.mark.parametrize("size", [(48, 96), (47, 96), (48, 95), (47, 95), (1, 1)])
def test_written_file_reads_back(size: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    image = _bars(*size)
    with VideoWriter(path, 24.0) as writer:
        for number in range(10):
            writer.add(image, number / 24)
        assert not path.exists()
    assert list(tmp_path.iterdir()) == [path]
    padded = tuple(length + length % 2 for length in size)
    with open_source(path) as source:
        assert source.size == padded
        assert source.frame_rate == pytest.approx(24, rel=1e-4)
        frames = list(source)
    assert len(frames) == 10
    edges = np.pad(image, [(0, padded[0] - size[0]), (0, padded[1] - size[1]), (0, 0)], mode="edge")
    for shown in (frames[5].image, cv2.VideoCapture(str(path)).read()[1][..., ::-1]):
        # Colour is halved in resolution: compare away from the bars' borders.
        inner = np.arange(padded[1]) % 16
        kept = (inner > 3) & (inner < 12) if padded[1] > 2 else inner >= 0
        assert np.abs(shown.astype(int) - edges)[:, kept].max() <= 6


def test_file_plays_in_a_browser(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with VideoWriter(path, None) as writer:
        for number in range(5):
            writer.add(_bars(48, 96), number * 0.04)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(path)) as container:
        (stream,) = container.streams.video
        context = stream.codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert stream.profile == "High"
        assert context.colorspace == 1
        # The level is the fourth byte of the decoder's configuration: 5.1 at most.
        assert context.extradata is not None
        assert context.extradata[3] <= 51


def test_times_of_a_variable_rate_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    times = [7.0, 7.01, 7.3, 7.31, 7.4, 9.0, 9.02]
    with VideoWriter(path, None) as writer:
        for time in times:
            writer.add(_bars(48, 96), time)
    shown = [frame.time for frame in open_source(path)]
    assert shown == pytest.approx([time - 7 for time in times], abs=1e-4)
    with av.open(str(path)) as container:
        assert container.duration is not None
        assert container.duration / 1e6 == pytest.approx(2.02 + 1 / 25, abs=2e-3)


def test_times_that_stand_still_are_moved(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "out.mp4", 25) as writer:
        for time in (0.0, 0.0, -1.0, 0.04):
            writer.add(_bars(48, 96), time)
    times = [frame.time for frame in open_source(tmp_path / "out.mp4")]
    assert len(times) == 4
    assert times == sorted(set(times))
    assert times[3] == pytest.approx(0.04)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("before", [0, 1, 90])
def test_an_error_leaves_what_was_there(
    kind: type[BaseException], before: int, tmp_path: Path
) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"the old one")

    def spoil() -> None:
        with VideoWriter(path, 25) as writer:
            for number in range(before):
                writer.add(_bars(48, 96), number / 25)
            raise kind

    with pytest.raises(kind):
        spoil()
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]
    assert path.read_bytes() == b"the old one"


def _write(path: Path, *images: UInt8Array) -> None:
    with VideoWriter(path, 25) as writer:
        for number, image in enumerate(images):
            writer.add(image, number / 25)


def test_writer_refuses_what_does_not_fit(tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    for path, words in [
        (tmp_path / "out.avi", r"ending in \.mp4, got 'out\.avi'"),
        (tmp_path / "none" / "out.mp4", "does not exist; create it first"),
        (tmp_path / "folder.mp4", r"folder\.mp4 is a folder"),
    ]:
        with pytest.raises(InputError, match=words):
            VideoWriter(path, 25)
    with pytest.raises(InputError, match="above 0, got 0"):
        VideoWriter(tmp_path / "out.mp4", 0)
    with pytest.raises(InputError, match="no frame was added"):
        _write(tmp_path / "out.mp4")
    for image, words in [
        (_bars(50, 96), "expected 96 x 48 pixels .* got 96 x 50"),
        (_bars(48, 96)[..., 0], r"expected uint8 of shape \(H, W, 3\)"),
    ]:
        with pytest.raises(InputError, match=words):
            _write(tmp_path / "out.mp4", _bars(48, 96), image)
    assert [file.name for file in tmp_path.iterdir()] == ["folder.mp4"]


def _painted(path: Path, **selection: int) -> Iterator[tuple[Frame, UInt8Array]]:
    with open_source(path, start=selection.get("start", 0), end=selection.get("end")) as source:
        for frame in source:
            labels = np.zeros(source.size, np.uint8)
            labels[40:, 60:] = 1
            yield frame, labels


def test_write_overlay_draws(tmp_path: Path, make_clip: MakeClip) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 10)
    palette = np.zeros((256, 3), np.uint8)
    palette[1] = 250, 20, 20
    write_overlay(tmp_path / "out.mp4", _painted(clip), palette=palette, frame_rate=25, alpha=0.99)
    shown = list(open_source(tmp_path / "out.mp4"))[4].image
    source = list(open_source(clip))[4].image
    assert np.abs(shown[48:, 70:].astype(int) - palette[1]).mean() < 6
    assert np.abs(shown[:32, :50].astype(int) - source[:32, :50]).mean() < 4


def _tone(path: Path) -> tuple[str, float, float, float]:
    """Codec, first time and duration in seconds, and loudness of the decoded sound."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        blocks = [frame.to_ndarray()[0].astype(float) for frame in container.decode(stream)]
        samples = np.concatenate(blocks)
        assert stream.start_time is not None
        assert stream.time_base is not None
        begin = float(stream.start_time * stream.time_base)
        return stream.codec_context.name, begin, len(samples) / 48000, float(samples[4800:].std())


@pytest.mark.parametrize(
    ("codec", "name"), [("aac", "a.mp4"), ("aac", "a.ts"), ("libmp3lame", "a.mkv")]
)
@pytest.mark.parametrize(("start", "end"), [(0, None), (20, 50)])
def test_sound_is_copied(
    codec: str, name: str, start: int, end: int | None, tmp_path: Path, make_clip: MakeClip
) -> None:
    clip = make_clip(tmp_path / name, 60, audio=codec)
    out = tmp_path / "out.mp4"
    frames = _painted(clip, start=start, **({} if end is None else {"end": end}))
    write_overlay(out, frames, palette=_palette(), frame_rate=25, audio_from=clip)
    assert open_source(out).length == (end or 60) - start
    got, begin, duration, loudness = _tone(out)
    assert got == _tone(clip)[0]
    assert begin < 0.06
    assert duration == pytest.approx(((end or 60) - start) / 25, abs=0.08)
    assert loudness == pytest.approx(_tone(clip)[3], rel=0.1)


def test_sound_that_cannot_be_copied_does_no_harm(
    tmp_path: Path, make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    pcm = make_clip(tmp_path / "pcm.mov", 5, audio="pcm_s16le")
    silent = make_clip(tmp_path / "silent.mp4", 5)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"nothing" * 99)
    out = tmp_path / "out.mp4"
    sources = [pcm, silent, broken, tmp_path / "missing.mp4", tmp_path]
    for source in sources:
        with caplog.at_level(logging.WARNING, "vostrack.video"):
            write_overlay(
                out, _painted(silent), palette=_palette(), frame_rate=25, audio_from=source
            )
        assert open_source(out).length == 5
        with av.open(str(out)) as container:
            assert not container.streams.audio
        out.unlink()
    warned = [record.getMessage() for record in caplog.records]
    assert len(warned) == len(sources) - 1
    assert not any("silent.mp4" in message for message in warned)


def test_sound_that_breaks_off_does_no_harm(
    tmp_path: Path,
    make_clip: MakeClip,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from vostrack.video.audio import AudioCopy

    def breaking(self: AudioCopy, container: object) -> Iterator[object]:
        yield from ()
        raise av.error.InvalidDataError(1, "gone")

    monkeypatch.setattr(AudioCopy, "_wanted", breaking)
    clip = make_clip(tmp_path / "clip.mp4", 5, audio="aac")
    out = tmp_path / "out.mp4"
    write_overlay(out, _painted(clip), palette=_palette(), frame_rate=25, audio_from=clip)
    assert open_source(out).length == 5
    assert "the audio ends early" in caplog.text


def test_memory_does_not_grow_with_the_clip(tmp_path: Path) -> None:
    size = (120, 160)
    frame_bytes = 120 * 160 * 3

    def frames() -> Iterator[UInt8Array]:
        for number in range(300):
            yield np.full((*size, 3), number % 250, np.uint8)

    def painted() -> Iterator[tuple[Frame, UInt8Array]]:
        for frame in open_source(frames()):
            yield frame, np.ones(size, np.uint8)

    out = tmp_path / "out.mp4"
    # Modules and their caches come first.
    with VideoWriter(tmp_path / "first.mp4", 25) as writer:
        writer.add(draw_overlay(*next((f.image, m) for f, m in painted()), palette=_palette()), 0)
    tracemalloc.start()
    try:
        write_overlay(out, painted(), palette=_palette(), frame_rate=25)
        _, written = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        count = sum(frame.image.shape == (*size, 3) for frame in open_source(out))
        backwards = sum(1 for at in (280, 200, 0) for _ in open_source(out).read(at, at + 9))
        _, read = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 300
    assert backwards == 30
    assert written < 20 * frame_bytes
    assert read < 20 * frame_bytes


def _write_noise(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    if path.suffix == ".mov":
        with AlphaVideoWriter(path, PRORES, 25) as alpha_writer:
            for index in range(9):
                alpha_writer.add(noise, np.ones((64, 64), np.float32), index / 25)
        return
    with VideoWriter(path, 25) as writer:
        for index in range(9):
            writer.add(noise, index / 25)


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_video_that_is_too_large_is_named(suffix: str, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path, before = tmp_path / f"out{suffix}", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError, match="too large") as caught:
            _write_noise(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.filename == str(path)
    assert not list(tmp_path.iterdir())
