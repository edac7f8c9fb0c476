from __future__ import annotations

import io
from pathlib import Path

import hypothesis.extra.numpy as npst
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.errors import InputError
from vostrack.masks import (
    davis_palette,
    read_label_map,
    write_label_map,
    write_matte,
)

label_maps = npst.arrays(np.uint8, npst.array_shapes(min_dims=2, max_dims=2, max_side=40))


def test_palette_is_pascals() -> None:
    # The 21 class colours as the PASCAL VOC development kit documents them, and void.
    classes = (
        "000000 800000 008000 808000 000080 800080 008080 808080 400000 c00000 408000 c08000 "
        "400080 c00080 408080 c08080 004000 804000 00c000 80c000 004080"
    )
    palette = davis_palette()
    assert [bytes(colour).hex() for colour in palette[:21]] == classes.split()
    assert palette[255].tolist() == [224, 224, 192]
    assert len(np.unique(palette, axis=0)) == 256


@settings(deadline=None)
@given(labels=label_maps)
def test_label_maps_round_trip(labels: UInt8Array, tmp_path_factory: object) -> None:
    assert isinstance(tmp_path_factory, pytest.TempPathFactory)
    path = tmp_path_factory.getbasetemp() / "round" / "00000.png"
    write_label_map(path, labels)
    np.testing.assert_array_equal(read_label_map(path), labels)


def test_a_written_map_is_indexed_with_the_palette(tmp_path: Path) -> None:
    labels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    write_label_map(tmp_path / "new" / "folder" / "m.png", labels)
    with Image.open(tmp_path / "new" / "folder" / "m.png") as image:
        assert (image.format, image.mode) == ("PNG", "P")
        np.testing.assert_array_equal(np.asarray(image), labels)
        shown = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(shown, davis_palette()[labels])


@pytest.mark.parametrize("mode", ["P", "L", "I;16"])
def test_values_are_read_as_they_are(tmp_path: Path, mode: str) -> None:
    labels = np.array([[0, 1, 254], [255, 7, 0]], dtype=np.uint8)
    image = Image.fromarray(labels.astype(np.uint16) if mode == "I;16" else labels)
    if mode == "P":
        image.putpalette([200, 10, 10] * 256)
    image.save(tmp_path / "m.png")
    read = read_label_map(tmp_path / "m.png")
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, labels)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (Image.new("RGB", (4, 4)), "mode RGB; save the label map as an indexed PNG"),
        (Image.fromarray(np.full((4, 4), 300, np.uint16)), "got 300; renumber"),
        (b"not an image", "cannot be read"),
        (None, "existing, complete"),
    ],
    ids=["colours", "large ids", "no image", "missing"],
)
def test_what_is_no_label_map(tmp_path: Path, content: object, words: str) -> None:
    path = tmp_path / "m.png"
    if isinstance(content, Image.Image):
        content.save(path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        read_label_map(path)
    assert "m.png" in str(caught.value)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    whole = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 9, (64, 64)).astype(np.uint8)
    Image.fromarray(noise).save(whole, format="PNG")
    (tmp_path / "m.png").write_bytes(whole.getvalue()[:300])
    with pytest.raises(InputError, match="cannot be read"):
        read_label_map(tmp_path / "m.png")


@pytest.mark.parametrize(
    "labels",
    [np.zeros((3, 3)), np.zeros((3, 3, 3), np.uint8), np.full((3, 3), -1), np.full((3, 3), 256)],
    ids=["float", "three axes", "negative", "large"],
)
def test_only_label_maps_are_written(tmp_path: Path, labels: NDArray[np.integer]) -> None:
    with pytest.raises(InputError, match="labels: expected"):
        write_label_map(tmp_path / "m.png", labels)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("alpha", "gray"),
    [
        (np.array([[0.0, 0.5, 1.0]]), [[0, 128, 255]]),
        (np.array([[0.0, 0.1, 1.0]], np.float16), [[0, 25, 255]]),
        (np.array([[False, True, True]]), [[0, 255, 255]]),
    ],
    ids=["float64", "float16", "bool"],
)
def test_mattes(tmp_path: Path, alpha: NDArray[np.floating], gray: list[list[int]]) -> None:
    write_matte(tmp_path / "a.png", alpha)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "L"
        assert np.asarray(image).tolist() == gray


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan, np.inf])
def test_mattes_out_of_range_are_refused(tmp_path: Path, value: float) -> None:
    with pytest.raises(InputError, match=r"alpha: expected values in \[0, 1\]"):
        write_matte(tmp_path / "a.png", np.array([[0.5, value]]))


@settings(deadline=None)
@given(alpha=npst.arrays(np.float32, (3, 5), elements=st.floats(0, 1, width=32)))
def test_mattes_are_within_half_a_level(alpha: FloatArray, tmp_path_factory: object) -> None:
    assert isinstance(tmp_path_factory, pytest.TempPathFactory)
    path = tmp_path_factory.getbasetemp() / "matte.png"
    write_matte(path, alpha)
    with Image.open(path) as image:
        np.testing.assert_allclose(np.asarray(image) / 255, alpha, atol=0.5001 / 255)
