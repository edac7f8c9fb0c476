"""First masks as image editors save them: soft, inverted, on any ground, or in alpha."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from vostrack.arrays import AnyArray, BoolArray, UInt8Array
from vostrack.errors import InputError
from vostrack.masks import FirstMask, check_first_mask, read_first_mask

Save = Callable[..., Path]
SIZE = (120, 160)


def _disc(row: int = 60, column: int = 70, radius: int = 32) -> BoolArray:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.asarray((rows - row) ** 2 + (columns - column) ** 2 <= radius**2)


def _soft(radius: float, mask: BoolArray | None = None) -> UInt8Array:
    """Return a white disc that is blurred by ``radius`` pixels."""
    shape = _disc() if mask is None else mask
    image = Image.fromarray(shape.astype(np.uint8) * np.uint8(255))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)))


def _one_soft(mask: FirstMask, gray: UInt8Array) -> None:
    """Check for one object, cut at half, whose soft edge is kept."""
    assert mask.ids == (1,)
    np.testing.assert_array_equal(mask.labels, (gray >= 128).astype(np.uint8))
    assert mask.alpha is not None
    assert mask.alpha.dtype == np.float32
    assert mask.alpha.shape == (1, *gray.shape)
    np.testing.assert_allclose(mask.alpha[0], gray / 255, atol=0.003)
    assert sum("edges are smoothed" in warning for warning in mask.warnings) == 1


@pytest.mark.parametrize("blur", [0.6, 2, 5, 9, 14])
@pytest.mark.parametrize("form", ["gray", "RGB", "array", "palette", "16 bits"])
def test_a_soft_brush_is_one_object(save: Save, blur: float, form: str) -> None:
    gray = _soft(blur)
    if form == "array":
        mask = check_first_mask(gray)
    elif form == "16 bits":
        mask = read_first_mask(save("m.png", gray.astype(np.uint16) * np.uint16(257)))
    elif form == "palette":
        path = save("m.png", 255 - gray)
        with Image.open(path) as image:
            image.load()
        image.putpalette([v for k in range(255, -1, -1) for v in (k, k, k)])
        image.save(path)
        mask = read_first_mask(path)
    else:
        mask = read_first_mask(save("m.png", gray, "RGB" if form == "RGB" else None))
    _one_soft(mask, gray)


@pytest.mark.parametrize("levels", [17, 9, 5, 3])
def test_few_levels_at_the_edge(save: Save, levels: int) -> None:
    gray = np.rint(np.rint(_soft(0.7) / 255 * (levels - 1)) * 255 / (levels - 1)).astype(np.uint8)
    _one_soft(read_first_mask(save("m.png", gray)), gray)


def test_a_jpeg_saved_as_png(save: Save, tmp_path: Path) -> None:
    with Image.open(save("m.jpg", _soft(0.6), quality=60)) as image:
        gray = np.asarray(image.convert("L"))
    mask = read_first_mask(save("m.png", gray))
    assert mask.ids == (1,)
    assert (mask.labels == (gray >= 128)).mean() > 0.999


def test_a_soft_jpeg(save: Save) -> None:
    gray = _soft(6)
    mask = read_first_mask(save("m.jpg", gray, quality=95))
    assert (mask.labels == (gray >= 128)).mean() > 0.995
    assert mask.alpha is not None


@pytest.mark.parametrize("blur", [0.6, 3])
def test_soft_colours(save: Save, blur: float) -> None:
    red, blue = _soft(blur, _disc(60, 45, 28)), _soft(blur, _disc(60, 115, 28))
    colour = np.zeros((*SIZE, 3), np.uint8)
    colour[..., 0] = np.rint(red * (230 / 255))
    colour[..., 1] = np.rint(blue * (90 / 255))
    colour[..., 2] = np.rint(blue * (240 / 255))
    mask = read_first_mask(save("m.png", colour))
    assert sorted(mask.names) == ["#005af0", "#e60000"]
    one, two = mask.ids[mask.names.index("#e60000")], mask.ids[mask.names.index("#005af0")]
    assert ((mask.labels == one) == (red >= 128)).mean() > 0.995
    assert ((mask.labels == two) == (blue >= 128)).mean() > 0.995
    assert mask.alpha is not None
    assert mask.alpha.shape == (2, *SIZE)
    assert "edges are smoothed" in mask.warnings[0]


def test_a_soft_red_brush(save: Save) -> None:
    gray = _soft(4)
    colour = np.zeros((*SIZE, 3), np.uint8)
    colour[..., 0] = gray
    mask = read_first_mask(save("m.png", colour))
    assert mask.names == ("#ff0000",)
    assert ((mask.labels > 0) == (gray >= 128)).mean() > 0.998


def test_soft_ids_keep_their_numbers(save: Save) -> None:
    values = np.zeros(SIZE, np.uint8)
    ImageDraw.Draw(image := Image.fromarray(values)).rectangle((10, 10, 60, 60), fill=120)
    ImageDraw.Draw(image).rectangle((90, 40, 150, 110), fill=200)
    gray = np.asarray(image.resize((320, 240), Image.Resampling.BILINEAR))
    mask = read_first_mask(save("m.png", gray))
    assert mask.ids == (120, 200)
    nearest = np.asarray(image.resize((320, 240), Image.Resampling.NEAREST))
    assert (mask.labels == nearest).mean() > 0.99


def test_advice_never_makes_it_worse(save: Save) -> None:
    noise = np.random.default_rng(3).integers(0, 256, SIZE, dtype=np.uint8)
    with pytest.raises(InputError, match="photograph") as caught:
        read_first_mask(save("m.png", noise))
    assert "max_objects" not in str(caught.value)
    # Even with the highest limit no soft mask falls into rings.
    assert read_first_mask(save("s.png", _soft(5)), max_objects=254).ids == (1,)


@pytest.mark.parametrize("mode", ["L", "RGB", "1", "LA", "RGBA"])
@pytest.mark.parametrize("soft", [False, True])
def test_a_black_object_on_white(save: Save, mode: str, soft: bool) -> None:
    gray = 255 - (_soft(2) if soft and mode != "1" else _disc() * np.uint8(255))
    mask = read_first_mask(save("m.png", gray, mode))
    np.testing.assert_array_equal(mask.labels, (gray < 128).astype(np.uint8))
    assert any("black object on white, so it was inverted" in w for w in mask.warnings)


def test_a_black_object_that_stands_on_the_edge(save: Save) -> None:
    gray = np.where(_disc(110, 70, 40), 0, 255).astype(np.uint8)
    assert "inverted" in read_first_mask(save("m.png", gray)).warnings[0]


def test_a_large_object_is_not_inverted(save: Save) -> None:
    gray = np.full(SIZE, 255, np.uint8)
    gray[:30] = 0  # sky: it touches three borders
    mask = read_first_mask(save("m.png", gray))
    np.testing.assert_array_equal(mask.labels, gray // 255)
    assert mask.warnings == ()
    corner = np.full(SIZE, 255, np.uint8)
    corner[:40, :50] = 0
    doubtful = read_first_mask(save("c.png", corner))
    np.testing.assert_array_equal(doubtful.labels, corner // 255)
    assert "check that the mask is not inverted" in doubtful.warnings[0]
    # An index says which part is background, and so does an id.
    ones = np.where(_disc(), 0, 1).astype(np.uint8)
    np.testing.assert_array_equal(read_first_mask(save("i.png", ones)).labels, ones)


@pytest.mark.parametrize("form", ["gray", "soft", "RGB", "jpeg"])
def test_video_range(save: Save, form: str) -> None:
    share = (_soft(2) if form == "soft" else _disc() * np.uint8(255)) / 255
    gray = np.rint(16 + 219 * share).astype(np.uint8)
    path = save("m.jpg" if form == "jpeg" else "m.png", gray, "RGB" if form == "RGB" else None)
    mask = read_first_mask(path)
    assert mask.ids == (1,)
    assert ((mask.labels == 1) == (share >= 0.5)).mean() > 0.998
    assert form == "jpeg" or "video range" in " ".join(mask.warnings)


def _rgba(colour: AnyArray, alpha: UInt8Array) -> UInt8Array:
    return np.dstack([np.broadcast_to(colour, (*SIZE, 3)).astype(np.uint8), alpha])


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("paint", ["black", "black on white", "red", "photo", "gray photo"])
def test_the_alpha_is_the_mask(save: Save, paint: str, soft: bool) -> None:
    alpha = _soft(2) if soft else _disc() * np.uint8(255)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    photo = np.dstack([rows * 2, columns, (rows * columns) % 256])
    colours: dict[str, Any] = {
        "black": np.zeros(3),
        "black on white": np.where(alpha[..., None] > 0, 0, 255),
        "red": np.array([255, 0, 0]),
        "photo": photo,
        "gray photo": photo[..., 2:],
    }
    mask = read_first_mask(save("m.png", _rgba(colours[paint], alpha)))
    assert mask.ids == (1,)
    np.testing.assert_array_equal(mask.labels, (alpha >= 128).astype(np.uint8))
    if soft:
        assert mask.alpha is not None
        np.testing.assert_allclose(mask.alpha[0], alpha / 255, atol=1e-6)
        assert any("partly transparent" in warning for warning in mask.warnings)
    elif paint != "red":
        assert "the opaque part is read as one object" in mask.warnings[0]


def test_gray_with_soft_alpha_is_warned_of(save: Save) -> None:
    alpha = _soft(2)
    white = np.dstack([np.full(SIZE, 255, np.uint8), alpha])
    mask = read_first_mask(save("m.png", white))
    np.testing.assert_array_equal(mask.labels, (alpha >= 128).astype(np.uint8))
    assert "partly transparent" in mask.warnings[0]


def test_fractions_are_a_matte(save: Save) -> None:
    share = (_soft(2) / 255).astype(np.float32)
    mask = read_first_mask(save("m.tif", share))
    np.testing.assert_array_equal(mask.labels, (share >= 0.5).astype(np.uint8))
    assert mask.alpha is not None


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("value", [64, 127, 255])
def test_background_is_the_region_at_the_borders(save: Save, value: int, alone: bool) -> None:
    values = np.full(SIZE, value, np.uint8)
    values[_disc(60, 50, 20)] = 3
    if not alone:
        values[_disc(60, 110, 20)] = 9
    mask = read_first_mask(save("m.png", values))
    assert mask.ids == ((3,) if alone else (3, 9))
    assert f"value {value} is read as background" in mask.warnings[0]


@pytest.mark.parametrize("ground", [(255, 255, 255), (0, 0, 255), (90, 90, 90)])
def test_colours_on_a_coloured_ground(save: Save, ground: tuple[int, int, int]) -> None:
    image = np.full((*SIZE, 3), ground, np.uint8)
    image[_disc(60, 50, 20)] = (255, 0, 0)
    image[_disc(60, 110, 20)] = (0, 0, 0) if ground == (255, 255, 255) else (0, 200, 0)
    mask = read_first_mask(save("m.png", image))
    assert len(mask.ids) == 2
    assert mask.labels[0, 0] == 0
    assert "is read as background" in mask.warnings[0]


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("form", ["pgm", "png", "tiff"])
def test_stored_samples_are_the_ids(tmp_path: Path, bits: int, form: str) -> None:
    values = np.zeros((8, 16), np.uint8)
    values[1:4, 2:8], values[4:7, 9:14] = 1, 2
    most = (1 << bits) - 1
    path = tmp_path / f"m.{form}"
    if form == "pgm":
        path.write_bytes(b"P5\n# painted\n16 8\n%d\n" % most + values.tobytes())
    else:
        _write_few_bits(path, values, bits, form)
    mask = read_first_mask(path, min_pixels=0)
    np.testing.assert_array_equal(mask.labels, values)


def _write_few_bits(path: Path, values: UInt8Array, bits: int, form: str) -> None:
    import struct
    import zlib

    spread = (values[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    packed = np.packbits(spread.reshape(len(values), -1).astype(np.uint8), axis=1)
    height, width = values.shape
    if form == "tiff":
        data = packed.tobytes()
        tags = [(256, width), (257, height), (258, bits), (259, 1), (262, 1), (273, 130)]
        tags += [(277, 1), (278, height), (279, len(data))]
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
        head = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + struct.pack("<I", 0)
        path.write_bytes(head.ljust(130, b"\0") + data)
        return
    rows = b"".join(b"\0" + row.tobytes() for row in packed)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0))]
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n"
    for name, data in chunks:
        crc = struct.pack(">I", zlib.crc32(name + data))
        content += struct.pack(">I", len(data)) + name + data + crc
    path.write_bytes(content)


@pytest.mark.parametrize(
    "values", [(127, 255), (128, 255), (64, 128, 191, 255), (51, 102, 153, 204, 255)]
)
def test_values_spread_over_the_range_are_ids(save: Save, values: tuple[int, ...]) -> None:
    image = np.zeros(SIZE, np.uint8)
    for k, value in enumerate(values):
        image[20:90, 10 + 28 * k : 30 + 28 * k] = value
    mask = read_first_mask(save("m.png", image))
    assert mask.ids == tuple(range(1, len(values) + 1))
    assert mask.names == tuple(map(str, values))


@pytest.mark.parametrize("values", [(1, 255), (7, 9, 255)])
def test_255_in_gray_is_void_with_a_word(save: Save, values: tuple[int, ...]) -> None:
    image = np.zeros(SIZE, np.uint8)
    for k, value in enumerate(values):
        image[20:90, 10 + 28 * k : 30 + 28 * k] = value
    mask = read_first_mask(save("m.png", image))
    assert mask.ids == values[:-1]
    assert "255, which is void" in mask.warnings[0] or "pixels are void" in mask.warnings[0]


def test_mots_ignore_regions_are_void(save: Save) -> None:
    image = np.zeros(SIZE, np.uint16)
    image[20:60, 10:50], image[20:60, 60:100], image[80:110] = 1001, 2003, 10000
    mask = read_first_mask(save("m.png", image))
    assert mask.names == ("1001", "2003")
    assert (mask.labels[80:110] == 255).all()
    assert "the ignore region of MOTS" in " ".join(mask.warnings)


def test_more_background_changes_nothing(smooth_disc: UInt8Array, save: Save) -> None:
    """Edges are looked at only around the objects."""
    small = read_first_mask(save("small.png", smooth_disc), min_pixels=0)
    large = read_first_mask(
        save("large.png", np.pad(smooth_disc, ((30, 30), (50, 50)))), min_pixels=0
    )
    assert small.alpha is not None
    assert large.alpha is not None
    np.testing.assert_array_equal(large.labels[30:-30, 50:-50], small.labels)
    np.testing.assert_array_equal(large.alpha[:, 30:-30, 50:-50], small.alpha)
    assert large.labels.sum() == small.labels.sum()
