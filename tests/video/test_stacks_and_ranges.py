"""One file with several frames, and frames of 16 bits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.video.ffprobe import picture_times
from vostrack.errors import InputError
from vostrack.video import open_source

CASES = Path(__file__).parent / "cases"
STACKS = CASES / "stack_in_one_file"
THERMAL = CASES / "thermal_14_bit" / "frames"

Log = pytest.LogCaptureFixture


@pytest.mark.parametrize("name", ["stack.tif", "clip.webp", "clip.apng.png"])
def test_every_frame_of_a_stack(name: str) -> None:
    source = open_source(STACKS / name)
    assert source.length == 5
    frames = list(source)
    assert [frame.index for frame in frames] == list(range(5))
    for one, other in pairwise(frames):
        assert np.abs(one.image.astype(int) - other.image).max() > 50
    (again,) = source.read(3, 3)
    np.testing.assert_array_equal(again.image, frames[3].image)


def test_the_times_of_an_animated_png_are_those_of_ffprobe() -> None:
    times = [frame.time for frame in open_source(STACKS / "clip.apng.png")]
    assert times == pytest.approx(picture_times(STACKS / "clip.apng.png"), abs=0.002)


def _images(count: int = 4, size: tuple[int, int] = (24, 16)) -> list[Image.Image]:
    images = []
    for number in range(count):
        array = np.full((size[1], size[0], 3), 40, np.uint8)
        array[4:10, 3 * number : 3 * number + 6] = (250, 30, 20)
        images.append(Image.fromarray(array))
    return images


SAVED: dict[str, dict[str, Any]] = {
    "a.avif": {"duration": 100},
    "a.webp": {"duration": [40, 80, 40, 40], "lossless": True},
    "a.png": {"duration": 40},
    "a.apng": {"duration": 40, "disposal": 2},
    "a.tiff": {"compression": "tiff_lzw"},
}


@pytest.mark.parametrize("name", SAVED)
def test_other_stacks(name: str, tmp_path: Path) -> None:
    first, *others = _images()
    options = {"format": "PNG"} if name.endswith("apng") else {}
    first.save(tmp_path / name, save_all=True, append_images=others, **SAVED[name], **options)
    frames = list(open_source(tmp_path / name))
    assert len(frames) == 4
    for number, frame in enumerate(frames):
        columns = np.flatnonzero(frame.image[7, :, 0].astype(int) > 150)
        assert columns.min() == pytest.approx(3 * number, abs=1)
    duration = SAVED[name].get("duration", 40)
    durations = duration if isinstance(duration, list) else [duration] * 4
    expected = np.cumsum([0, *durations[:3]]) / 1000
    assert [frame.time for frame in frames] == pytest.approx(expected)
    assert len(list(open_source(tmp_path / name, start=1, end=3))) == 2


def test_a_folder_with_one_stack_is_that_stack(tmp_path: Path) -> None:
    first, *others = _images()
    first.save(tmp_path / "stack.tif", save_all=True, append_images=others)
    assert open_source(tmp_path).length == 4


def test_several_stacks_are_used_with_a_warning(tmp_path: Path, caplog: Log) -> None:
    first, *others = _images()
    for number in range(2):
        first.save(tmp_path / f"{number}.tif", save_all=True, append_images=others)
    assert open_source(tmp_path).length == 2
    assert "holds 4 frames, of which only the first is used" in caplog.text


def test_a_poster_before_an_animation_is_no_frame(tmp_path: Path) -> None:
    poster = Image.new("RGB", (24, 16), (0, 200, 0))
    poster.save(
        tmp_path / "a.png", save_all=True, append_images=_images(), default_image=True, duration=40
    )
    frames = list(open_source(tmp_path / "a.png"))
    assert len(frames) == 4
    assert frames[0].image[0, 0].tolist() == [40, 40, 40]


def test_a_thumbnail_in_a_tiff_is_no_frame(tmp_path: Path) -> None:
    from PIL.TiffImagePlugin import AppendingTiffWriter

    path = tmp_path / "a.tif"
    (image,) = _images(1)
    with AppendingTiffWriter(str(path), new=True) as file:
        image.save(file, format="TIFF")
        file.newFrame()
        image.resize((12, 8)).save(file, format="TIFF", tiffinfo={254: 1})
    source = open_source(path)
    assert source.length == 1
    assert source.size == (16, 24)


def test_pages_of_another_size_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    _images(1)[0].save(path, save_all=True, append_images=[Image.new("RGB", (30, 16))])
    with pytest.raises(InputError, match=r"frame 1 is 30 x 16 .* first frame is 24 x 16"):
        list(open_source(path))


def test_a_stack_that_is_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    path.write_bytes((STACKS / "clip.webp").read_bytes()[:-4000])
    with pytest.raises(InputError, match=r"a\.webp cannot be read as an image"):
        list(open_source(path))


def test_thermal_frames_keep_their_levels(caplog: Log) -> None:
    source = open_source(THERMAL)
    frames = list(source)
    raw = [np.asarray(Image.open(path)).astype(float) for path in sorted(THERMAL.iterdir())]
    low, high = raw[0].min(), raw[0].max()
    assert source.value_range == (low, high)
    for frame, values in zip(frames, raw, strict=True):
        expected = np.clip((values - low) / (high - low), 0, 1) * 255
        assert np.abs(frame.image[..., 0] - expected).max() <= 0.5
    assert f"16-bit values {low:.0f} to {high:.0f} become 0 to 255 (range: auto)" in caplog.text


def test_the_range_can_be_given(caplog: Log) -> None:
    with caplog.at_level(logging.INFO, "vostrack.video"):
        full = next(iter(open_source(THERMAL, value_range="full"))).image
    assert len(np.unique(full)) <= 4
    assert "(range: full)" in caplog.text
    source = open_source(THERMAL, value_range="7000,8000")
    raw = np.asarray(Image.open(THERMAL / "00000.png")).astype(float)
    image = next(iter(source)).image[..., 0]
    assert np.abs(image - np.clip((raw - 7000) / 1000, 0, 1) * 255).max() <= 0.5


@pytest.mark.parametrize(
    "text", ["", "7000", "8000,7000", "5,5", "auto,full", "0,65535,1", "1.5,2"]
)
def test_other_ranges_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="range: expected auto, full, or two numbers"):
        open_source(THERMAL, value_range=text)


def test_frames_of_8_bits_have_no_range(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "0.png")
    open_source(tmp_path, value_range="full").close()
    with pytest.raises(InputError, match=r"range: .* has frames of 8 bits, .* leave `range` out"):
        open_source(tmp_path, value_range="10,20")


def _save_tiff(path: Path, values: np.ndarray[Any, Any]) -> None:
    Image.fromarray(values).save(path)


def _save_stack(path: Path, values: np.ndarray[Any, Any]) -> None:
    image = Image.fromarray(values)
    image.save(path, save_all=True, append_images=[image])


def _save_colour(path: Path, values: np.ndarray[Any, Any]) -> None:
    import cv2

    cv2.imwrite(str(path), np.repeat(values[..., None], 3, axis=2))


def _save_video(path: Path, values: np.ndarray[Any, Any]) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=25)
        stream.height, stream.width = values.shape[0], values.shape[1]
        stream.pix_fmt = "gray16le"
        for number in range(2):
            frame = av.VideoFrame.from_ndarray(values, format="gray16le")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("a.png", _save_tiff),
        ("a.tif", _save_tiff),
        ("stack.tif", _save_stack),
        ("colour.png", _save_colour),
        ("a.mkv", _save_video),
    ],
)
@pytest.mark.parametrize(("low", "high"), [(7000, 7999), (0, 4095), (100, 60100)])
def test_every_kind_of_16_bit_frame(
    name: str, save: Callable[..., None], low: int, high: int, tmp_path: Path
) -> None:
    values = np.linspace(low, high, 32 * 48).reshape(32, 48).astype(np.uint16)
    save(tmp_path / name, values)
    source = open_source(tmp_path / name)
    image = next(iter(source)).image.astype(float)
    narrow = high - low < 16384
    assert source.value_range == ((low, high) if narrow else (0, 65535))
    assert len(np.unique(image)) > 200
    if narrow:
        expected = (values.astype(float) - low) / (high - low) * 255
        assert np.abs(image - expected[..., None]).max() <= 0.5


def test_eight_bits_have_no_range(caplog: Log) -> None:
    assert open_source(STACKS / "stack.tif").value_range is None
    assert "16-bit" not in caplog.text
