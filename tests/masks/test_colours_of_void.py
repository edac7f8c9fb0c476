"""The colour of void in RGB masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vostrack.arrays import UInt8Array
from vostrack.masks import davis_palette, read_first_mask

Save = Callable[..., Path]

VOID = tuple(davis_palette()[255].tolist())
RED, GREEN = (255, 0, 0), (0, 160, 0)


def _painted(labels: UInt8Array, *colours: tuple[int, ...]) -> UInt8Array:
    return np.array([(0, 0, 0), *colours], np.uint8)[labels]


@pytest.mark.parametrize("alpha", [False, True])
def test_void_is_void_beside_any_colours(save: Save, two_objects: UInt8Array, alpha: bool) -> None:
    labels = two_objects.copy()
    labels[34:] = 3
    path = save("m.png", _painted(labels, RED, GREEN, VOID), "RGBA" if alpha else None)
    mask = read_first_mask(path)
    np.testing.assert_array_equal(mask.labels, np.array([0, 2, 1, 255], np.uint8)[labels])
    assert mask.names == ("#00a000", "#ff0000")
    assert "360 pixels are void, because their colour #e0e0c0" in mask.warnings[0]


def test_void_between_smoothed_objects(save: Save, two_objects: UInt8Array) -> None:
    labels = np.kron(two_objects, np.ones((4, 4), np.uint8))
    labels[136:] = 3
    image = _painted(labels, RED, GREEN, VOID).astype(float)
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
    soft = sum(padded[r : r + 160, c : c + 240] for r in range(3) for c in range(3)) / 9
    mask = read_first_mask(save("m.png", np.rint(soft).astype(np.uint8)))
    assert mask.ids == (1, 2)
    assert (mask.labels[138:] == 255).all()


def test_colours_of_the_palette_need_no_word(save: Save, two_objects: UInt8Array) -> None:
    mask = read_first_mask(save("m.png", _painted(two_objects, (128, 0, 0), VOID)))
    np.testing.assert_array_equal(mask.labels, np.array([0, 1, 255], np.uint8)[two_objects])
    assert mask.warnings == ()


@pytest.mark.parametrize("label", ["cat", "void"])
@pytest.mark.parametrize("other", [RED, (128, 0, 0)])
def test_a_label_file_knows_better(
    save: Save, two_objects: UInt8Array, label: str, other: tuple[int, ...], tmp_path: Path
) -> None:
    named = {"background": (0, 0, 0), "dog": other, label: VOID}
    lines = [f"{name}:{r},{g},{b}::" for name, (r, g, b) in named.items()]
    (tmp_path / "labelmap.txt").write_text("\n".join(lines))
    mask = read_first_mask(save("m.png", _painted(two_objects, other, VOID)))
    assert sorted(mask.names) == (["cat", "dog"] if label == "cat" else ["dog"])
    assert (mask.labels[two_objects == 2] == 255).all() == (label == "void")
