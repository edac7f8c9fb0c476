"""A small data set, and results for it in the forms that other people's tools write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from vostrack.arrays import UInt8Array
from vostrack.masks.palette import davis_palette, write_label_map

SIZE = (24, 32)
LENGTH = 8
Write = Callable[[Path, UInt8Array], None]


def truth(name: str, frame: int) -> UInt8Array:
    """One square in "swan", two in "goats"; they move two pixels a frame."""
    labels = np.zeros(SIZE, np.uint8)
    labels[2:9, 2 * frame + 1 : 2 * frame + 9] = 1
    if name == "goats":
        labels[13:21, 2 * frame + 3 : 2 * frame + 12] = 2
    return labels


def guess(name: str, frame: int) -> UInt8Array:
    """The truth, one pixel too low."""
    return np.roll(truth(name, frame), 1, axis=0)


def make_davis(root: Path, names: tuple[str, ...] = ("swan", "goats"), year: int = 2017) -> Path:
    """Write frames, masks and lists in DAVIS layout."""
    listing = root / "ImageSets" / str(year) / "val.txt"
    listing.parent.mkdir(parents=True)
    listing.write_text("\n".join(names))
    for name in names:
        frames = root / "JPEGImages" / "480p" / name
        frames.mkdir(parents=True)
        for index in range(LENGTH):
            Image.new("RGB", SIZE[::-1], (index, 60, 90)).save(frames / f"{index:05}.jpg")
            path = root / "Annotations" / "480p" / name / f"{index:05}.png"
            labels = truth(name, index)
            if year == 2016:
                write_gray(path, (labels > 0) * np.uint8(255))
            else:
                write_label_map(path, labels)
    return root


def write_results(
    root: Path,
    names: tuple[str, ...] = ("swan", "goats"),
    *,
    naming: str = "{:05}.png",
    start: int = 0,
    write: Write | None = None,
) -> Path:
    """Write ``guess`` for every frame, named by its number counted from ``start``."""
    for name in names:
        for index in range(LENGTH):
            path = root / name / naming.format(index + start)
            path.parent.mkdir(parents=True, exist_ok=True)
            (write or write_label_map)(path, guess(name, index))
    return root


def write_gray(path: Path, values: UInt8Array) -> None:
    """Write gray values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8)).save(path)


def white(path: Path, labels: UInt8Array) -> None:
    """Write the objects in white."""
    write_gray(path, (labels > 0) * np.uint8(255))


def soft(low: int, high: int, levels: int = 12) -> Write:
    """Return a writer of soft gray: a ramp of levels around the object's edges."""

    def write(path: Path, labels: UInt8Array) -> None:
        inside = (labels > 0).astype(np.float64)
        ramp = np.linspace(0, 0.45, levels)
        noise = ramp[np.arange(labels.size) % levels].reshape(labels.shape)
        write_gray(path, np.rint(low + (high - low) * np.abs(inside - noise)).astype(np.uint8))

    return write


def times(factor: int) -> Write:
    """Return a writer of ids times a constant."""
    return lambda path, labels: write_gray(path, labels * np.uint8(factor))


def colours(path: Path, labels: UInt8Array) -> None:
    """Write the colours of the DAVIS palette."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(davis_palette()[labels]).save(path, quality=95)


def one_colour(path: Path, labels: UInt8Array) -> None:
    """Write the object in a colour that is not in the DAVIS palette."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rgb = np.zeros((*labels.shape, 3), np.uint8)
    rgb[labels > 0] = (250, 40, 10)
    Image.fromarray(rgb).save(path)


def sorted_palette(path: Path, labels: UInt8Array) -> None:
    """Write an indexed image whose palette is sorted the other way, as some editors do."""
    highest = 2
    image = Image.fromarray((highest - labels).astype(np.uint8))
    image.putpalette(davis_palette()[highest::-1].tobytes())
    image.save(path)


def transparent(path: Path, labels: UInt8Array) -> None:
    """Write black with the object in alpha."""
    rgba = np.zeros((*labels.shape, 4), np.uint8)
    rgba[..., 3] = (labels > 0) * np.uint8(255)
    Image.fromarray(rgba).save(path)


def sixteen_bits(path: Path, labels: UInt8Array) -> None:
    """Write ids with 16 bits."""
    Image.fromarray(labels.astype(np.uint16)).save(path)


def one_bit(path: Path, labels: UInt8Array) -> None:
    """Write black and white with one bit."""
    Image.fromarray(labels > 0).save(path)


def few_bits(path: Path, labels: UInt8Array) -> None:
    """Write gray ids with two bits (Pillow cannot write them, so the chunks are made here)."""
    import struct
    import zlib

    height, width = labels.shape
    rows = np.packbits(
        np.unpackbits(labels[..., None], axis=-1)[..., 6:].reshape(height, 2 * width), axis=1
    )
    raw = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 2, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(raw))
        + chunk(b"IEND", b"")
    )
