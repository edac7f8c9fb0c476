"""Small masks, and the files in which other versions of the tools write them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vostrack.arrays import BoolArray
from vostrack.masks import FirstMask, VideoFrames, encode_rle, read_first_mask

SIZE = (20, 30)
Save = Callable[[str, Any], Path]


def box(top: int = 4, left: int = 5, bottom: int = 12, right: int = 15) -> BoolArray:
    mask = np.zeros(SIZE, np.bool_)
    mask[top:bottom, left:right] = True
    return mask


BOX, OTHER = box(), box(10, 18, 18, 28)
CORNERS = [[5, 4], [15, 4], [15, 12], [5, 12]]
PIXELS = [[5, 4], [14, 4], [14, 11], [5, 11]]


def saver(folder: Path) -> Save:
    def write(name: str, content: Any) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def read_mask(path: Path, asked: int | None = None) -> FirstMask:
    frames = VideoFrames(range(8), asked=asked)
    return read_first_mask(path, size=SIZE, frames=frames, min_pixels=0)


def is_box(mask: FirstMask, name: str | None = None) -> None:
    np.testing.assert_array_equal(mask.labels == mask.ids[0], BOX)
    assert name is None or mask.names[0] == name


def plain_rle(mask: BoolArray) -> dict[str, Any]:
    runs = np.diff(np.flatnonzero(np.diff(np.r_[-1, mask.T.ravel().astype(int), -1])))
    counts = runs.tolist()
    return {"size": list(mask.shape), "counts": counts if not mask[0, 0] else [0, *counts]}


def mots_line(frame: int, number: int, kind: int, mask: BoolArray) -> str:
    return f"{frame} {number} {kind} 20 30 {encode_rle(mask)['counts']}"
