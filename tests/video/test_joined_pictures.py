"""Several pictures in one file, one behind the other."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vostrack.errors import InputError
from vostrack.video import open_source

# File name, format of Pillow, mode.
KINDS = [
    ("v.ppm", "PPM", "RGB"), ("v.pgm", "PPM", "L"), ("v.pnm", "PPM", "1"), ("v.pgm", "PPM", "I;16"),
    ("v.png", "PNG", "RGB"), ("v.bmp", "BMP", "RGB"),
]  # fmt: skip


def _picture(kind: Sequence[str], shade: int) -> bytes:
    _, form, mode = kind
    gray = Image.fromarray(np.full((10, 13), shade, np.uint8))
    written = BytesIO()
    if mode == "I;16":
        gray = Image.fromarray(np.full((10, 13), shade * 256, np.uint16))
    else:
        gray = gray.convert(mode)
    gray.save(written, form)
    return written.getvalue()


@pytest.mark.parametrize("between", [b"", b"\n"])
@pytest.mark.parametrize("kind", KINDS)
def test_they_are_refused(kind: tuple[str, str, str], between: bytes, tmp_path: Path) -> None:
    path = tmp_path / kind[0]
    if between and kind[1] != "PPM":
        return
    path.write_bytes(between.join(_picture(kind, shade) for shade in (20, 90, 200)))
    for source in (path, tmp_path):
        with pytest.raises(InputError, match=r"holds several pictures.*image2pipe -i v\.p?"):
            open_source(source)


@pytest.mark.parametrize("rest", [b"", b"\n", b"P", b"\0" * 40])
@pytest.mark.parametrize("kind", KINDS)
def test_one_picture_is_a_frame(kind: tuple[str, str, str], rest: bytes, tmp_path: Path) -> None:
    path = tmp_path / kind[0]
    path.write_bytes(_picture(kind, 200) + rest)
    assert open_source(path).length == 1


def test_comments_in_the_header(tmp_path: Path) -> None:
    head = b"P6 # by a scanner\n# P6\n2 1 # width and height\n255\n"
    (tmp_path / "v.ppm").write_bytes(head + b"P6\n\1\2\3")
    assert open_source(tmp_path / "v.ppm").length == 1
    (tmp_path / "v.ppm").write_bytes((head + b"P6\n\1\2\3") * 2)
    with pytest.raises(InputError, match="holds several pictures"):
        open_source(tmp_path / "v.ppm")
