"""First masks in gray of 16 bits and in floats: the rules are those of 8 bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.masks import read_first_mask

Save = Callable[..., Path]

BOX = np.zeros((40, 60), bool)
BOX[10:30, 15:45] = True


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("values", [(32768, 65535), (32767, 65535), (32896, 65535)])
def test_two_of_16_bits_that_are_spread(
    save: Save, two_objects: UInt8Array, values: tuple[int, ...], suffix: str
) -> None:
    eight = np.array([0, *(v >> 8 for v in values)], np.uint8)[two_objects]
    wide = np.array([0, *values], np.uint16)[two_objects]
    few = read_first_mask(save("few.png", eight))
    mask = read_first_mask(save(f"m{suffix}", wide))
    assert mask.ids == few.ids
    np.testing.assert_array_equal(mask.labels, few.labels)


@pytest.mark.parametrize("count", [2, 3, 7, 51])
def test_spread_over_16_bits(save: Save, count: int) -> None:
    place = np.arange(count + 1).repeat(12)[None].repeat(20, axis=0)
    values = (np.arange(count + 1) * 65535 // count).astype(np.uint16)
    mask = read_first_mask(save("m.png", values[place]), max_objects=60)
    assert mask.ids == tuple(range(1, count + 1))
    np.testing.assert_array_equal(mask.labels, place)
    assert "65535 is not void here" in mask.warnings[0]


def test_65535_beside_ids_is_void(save: Save, two_objects: UInt8Array) -> None:
    mask = read_first_mask(save("m.png", np.array([0, 300, 65535], np.uint16)[two_objects]))
    assert mask.names == ("300",)
    assert (mask.labels[two_objects == 2] == 255).all()


@pytest.mark.parametrize("white", [1, 255, 65535])
def test_float_mattes(save: Save, white: int) -> None:
    share = cv2.GaussianBlur(BOX.astype(np.float32), (7, 7), 2)
    path = save("m.tif", share * white)
    mask = read_first_mask(path)
    np.testing.assert_array_equal(mask.labels, share >= 0.5)
    assert mask.alpha is not None
    np.testing.assert_allclose(mask.alpha[0], share, atol=1e-6)
    assert mask.warnings == (
        f"{path}: the fractions are read as the matte of one object"
        f"{f', from 0 to {white}' if white > 1 else ''}, cut at half",
    )


@pytest.mark.parametrize("peak", [2.5, 100, 300, 1e6, np.inf, np.nan])
def test_other_fractions_are_refused(save: Save, peak: float) -> None:
    values = np.where(BOX, peak, 0).astype(np.float32)
    values[20, 20] = 0.5
    with pytest.raises(InputError, match=r"a matte from 0 to 1, 255 or 65535; threshold"):
        read_first_mask(save("m.tif", values))
