"""Images and arrays: what they may look like, and which are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.video import NOMINAL_RATE, open_source
from vostrack.video.image_file import displayed_size, read_image


def _save(folder: Path, *names: str, size: tuple[int, int] = (6, 4)) -> None:
    for value, name in enumerate(names):
        Image.new("RGB", size, (value * 20, 5, 250)).save(folder / name, lossless=True)


def _only(source: Any) -> UInt8Array:
    (frame,) = open_source(source)
    return frame.image


def test_folder_is_in_natural_order_without_other_files(tmp_path: Path) -> None:
    _save(tmp_path, "f1.png", "f2.PNG", "F3.bmp", "f10.tif", "f011.webp", "f100.png")
    _save(tmp_path, ".f0.png", ".DS.png")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "f4.png").mkdir()
    source = open_source(tmp_path)
    frames = list(source)
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [0, 20, 40, 60, 80, 100]
    assert [frame.time for frame in frames] == [n / NOMINAL_RATE for n in range(6)]
    assert source.size == (4, 6)
    assert source.frame_rate is None
    assert not source.live
    assert source.length == 6


def test_pattern_and_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        _save(tmp_path / name, "2.png", "10.png", "x.png")
    monkeypatch.chdir(tmp_path)
    pattern = open_source("*/[0-9]*.png")
    assert [int(frame.image[0, 0, 0]) for frame in pattern] == [0, 20, 0, 20]
    everything = open_source(f"{tmp_path}/**/*.png")
    assert everything.length == 6
    listed = open_source(["a/x.png", Path("b/2.png")])
    assert [int(frame.image[0, 0, 0]) for frame in listed] == [40, 0]
    assert _only("a/x.png")[0, 0, 0] == 40


def test_a_name_with_a_wildcard_that_exists_is_no_pattern(tmp_path: Path) -> None:
    folder = tmp_path / "shot[1]"
    folder.mkdir()
    _save(folder, "0.png")
    assert open_source(str(folder)).length == 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int, tmp_path: Path) -> None:
    stored = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)
    image = Image.fromarray(np.repeat(stored[..., None], 3, axis=2))
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / "0.png", exif=exif)
    # EXIF 2.3, section 4.6.4: where row 0 and column 0 of the stored image are shown.
    expected = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.T,
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].T,
        8: np.rot90(stored),
    }[orientation]
    np.testing.assert_array_equal(_only(tmp_path)[..., 0], expected)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_the_size_from_the_header_is_that_of_the_image(
    orientation: int, suffix: str, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(path, exif=exif)
    assert (
        displayed_size(path)
        == read_image(path).shape[:2]
        == ((6, 4) if orientation == 6 else (4, 6))
    )


def test_an_orientation_behind_the_pixels_of_a_png(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(path, exif=exif)
    data = path.read_bytes()
    start = data.index(b"eXIf") - 4
    end = data.index(b"IDAT") - 4
    path.write_bytes(data[:start] + data[end:-12] + data[start:end] + data[-12:])
    assert displayed_size(path) == read_image(path).shape[:2] == (6, 4)


def test_the_size_of_a_png_is_found_without_decoding_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(path)
    monkeypatch.setattr(ImageFile.ImageFile, "load", None)
    assert displayed_size(path) == (4, 6)


def test_kinds_of_pixels(tmp_path: Path) -> None:
    gray16 = np.array([[0, 255, 32768, 65535]], dtype=np.uint16)
    Image.fromarray(gray16).save(tmp_path / "gray16.png")
    Image.fromarray(gray16).save(tmp_path / "gray16.tif")
    for name in ("gray16.png", "gray16.tif"):
        np.testing.assert_array_equal(_only(tmp_path / name)[0, :, 1], [0, 1, 128, 255])
    Image.fromarray(np.array([[0, 200]], np.uint8)).save(tmp_path / "gray.png")
    assert _only(tmp_path / "gray.png").tolist() == [[[0] * 3, [200] * 3]]
    rgba = np.array([[[10, 20, 30, 0], [40, 50, 60, 255]]], dtype=np.uint8)
    Image.fromarray(rgba).save(tmp_path / "rgba.png")
    np.testing.assert_array_equal(_only(tmp_path / "rgba.png"), rgba[..., :3])
    palette = Image.fromarray(np.array([[1, 0]], np.uint8), mode=None)
    palette.putpalette([9, 8, 7, 100, 110, 120])
    palette.save(tmp_path / "palette.png")
    assert _only(tmp_path / "palette.png").tolist() == [[[100, 110, 120], [9, 8, 7]]]
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "bit.png")
    assert _only(tmp_path / "bit.png")[0, :, 0].tolist() == [255, 0]


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4)])
def test_arrays_become_rgb(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    image = _only([array])
    expected = np.broadcast_to(array.reshape(5, 7, -1)[..., :3], (5, 7, 3))
    np.testing.assert_array_equal(image, expected)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous


def test_a_frame_is_not_the_callers_memory() -> None:
    array = np.zeros((2, 4, 5, 3), np.uint8)
    for frame in open_source(array):
        frame.image[:] = 255
    assert array.max() == 0


def test_torch_tensors_are_arrays() -> None:
    torch = pytest.importorskip("torch")
    frames = torch.arange(2 * 4 * 5 * 3, dtype=torch.uint8).reshape(2, 4, 5, 3)
    images = [frame.image for frame in open_source(frames)]
    np.testing.assert_array_equal(np.stack(images), frames.numpy())


def _frame(*shape: int) -> UInt8Array:
    return np.zeros(shape, np.uint8)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ([_frame(4, 5, 3).astype(np.float32)], "frame 0: expected uint8 .* got float32"),
        ([_frame(4, 5, 3), _frame(4, 5, 3).astype(bool)], "frame 1: expected uint8 .* got bool"),
        ([_frame(3, 40, 50)], r"expected shape .* got \(3, 40, 50\)"),
        ([_frame(0, 5, 3)], r"expected shape .* got \(0, 5, 3\)"),
        ([_frame(5)], r"expected shape .* got \(5,\)"),
        ([_frame(4, 5, 3), _frame(6, 5, 3)], "frame 1 is 5 x 6 pixels, the first frame is 5 x 4"),
        (_frame(40, 50, 3), "got one image"),
        ([], "got an empty"),
        (iter([]), "got an empty"),
        (iter([_frame(4, 5, 3), _frame(4, 6, 3)]), "frame 1 is 6 x 4 .* first frame is 5 x 4"),
        ({"a": 1}, "got dict"),
        (3.5, "got float"),
        (None, "got NoneType"),
        (True, "got True"),
        (["a.png", 3], "expected a list of image files"),
    ],
)
def test_refused_arrays(source: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        list(open_source(source))


def test_image_of_another_size(tmp_path: Path) -> None:
    _save(tmp_path, "0.png", "1.png")
    _save(tmp_path, "2.png", size=(8, 4))
    with pytest.raises(InputError, match=r"2\.png \(frame 2\) is 8 x 4 pixels, .* 6 x 4"):
        list(open_source(tmp_path))


def test_broken_image_is_named(tmp_path: Path) -> None:
    _save(tmp_path, "0.png")
    (tmp_path / "1.png").write_bytes((tmp_path / "0.png").read_bytes()[:50])
    (tmp_path / "2.jpg").write_text("no image")
    source = open_source(tmp_path)
    for number in (1, 2):
        with pytest.raises(InputError, match=rf"{number}\.\w+ cannot be read as an image"):
            list(source.read(number, number))
    with pytest.raises(InputError, match=r"9\.png does not exist"):
        open_source([tmp_path / "9.png"])
    Image.fromarray(np.zeros((3, 3), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(InputError, match="float values"):
        open_source(tmp_path / "float.tif")
