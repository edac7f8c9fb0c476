from __future__ import annotations

import json
from typing import Any

import hypothesis.extra.numpy as npst
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from vostrack.arrays import BoolArray
from vostrack.errors import InputError
from vostrack.masks.rle import decode_rle, encode_rle, encode_run_lengths, fill_polygons

masks = npst.arrays(np.bool_, npst.array_shapes(min_dims=2, max_dims=2, max_side=50))


def _plain_counts(mask: BoolArray) -> list[int]:
    """Run lengths by a loop over the columns, background first."""
    counts, value = [0], False
    for pixel in mask.T.ravel():
        if bool(pixel) is value:
            counts[-1] += 1
        else:
            counts.append(1)
            value = not value
    return counts


@settings(deadline=None)
@given(mask=masks)
def test_round_trip_with_pycocotools_as_oracle(mask: BoolArray) -> None:
    rle = json.loads(json.dumps(encode_rle(mask)))
    np.testing.assert_array_equal(coco_mask.decode(rle), mask)
    decoded = decode_rle(rle)
    assert decoded.dtype == np.bool_
    np.testing.assert_array_equal(decoded, mask)


@settings(deadline=None)
@given(mask=masks)
def test_plain_run_lengths(mask: BoolArray) -> None:
    rle = {"size": list(mask.shape), "counts": _plain_counts(mask)}
    assert json.loads(json.dumps(encode_run_lengths(mask))) == rle
    np.testing.assert_array_equal(decode_rle(rle), mask)
    packed = coco_mask.frPyObjects(rle, *mask.shape)
    np.testing.assert_array_equal(decode_rle(packed), mask)


@settings(deadline=None)
@given(seed=st.integers(0, 1000), period=st.integers(1, 4000))
def test_long_runs(seed: int, period: int) -> None:
    # Runs and differences of up to three characters, of both signs.
    rng = np.random.default_rng(seed)
    runs = rng.integers(1, period + 1, 60)
    flat = np.repeat(np.arange(60) % 2 == 1, runs)
    mask = flat.reshape(1, -1)
    packed = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    np.testing.assert_array_equal(decode_rle(packed), mask)


@pytest.mark.parametrize("value", [False, True])
def test_uniform_masks(value: bool) -> None:
    mask = np.full((480, 854), value)
    np.testing.assert_array_equal(decode_rle(encode_rle(mask)), mask)


@pytest.mark.parametrize(
    "rle",
    [
        {"size": [4, 4], "counts": [4, 4]},
        {"size": [4, 4], "counts": [8, 16]},
        {"size": [4, 4], "counts": [20, -4]},
        {"size": [4, 4], "counts": [15.5, 0.5]},
        {"size": [4, 4], "counts": "????"},
        {"size": [4, 4], "counts": "@000"},
        {"size": [4, 4], "counts": "zz\u00e9"},
        {"size": [4, 4], "counts": "P" * 40},
        {"size": [4, 4], "counts": ""},
        {"size": [4, 4]},
        {"size": [4], "counts": [16]},
        {"size": [4, 0], "counts": [0]},
        {"size": [1 << 20, 1 << 20], "counts": [1 << 40]},
        {"size": [1 << 20, 1 << 20], "counts": [1 << 31] * 512},
        {"size": "4x4", "counts": [16]},
        {"counts": [16]},
        {**encode_rle(np.eye(5, dtype=bool)), "size": [5, 6]},
    ],
)
def test_damaged_rle_is_refused(rle: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"RLE: .*export the mask again"):
        decode_rle(rle)


@settings(deadline=None)
@given(text=st.text(alphabet=st.characters(min_codepoint=40, max_codepoint=125), max_size=30))
def test_no_string_decodes_to_another_size(text: str) -> None:
    try:
        mask = decode_rle({"size": [7, 5], "counts": text})
    except InputError:
        return
    assert mask.shape == (7, 5)


def test_only_bool_is_encoded() -> None:
    with pytest.raises(InputError, match="expected bool"):
        encode_rle(np.zeros((3, 3), np.uint8))


def test_polygons_are_the_union() -> None:
    mask = fill_polygons([[1, 1, 1, 4, 5, 4, 5, 1], [3, 2, 3, 7, 8, 7, 8, 2]], (9, 10))
    expected = np.zeros((9, 10), dtype=bool)
    expected[1:4, 1:5] = True
    expected[2:7, 3:8] = True
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize(
    "polygon",
    [[1, 2, 3, 4], [1, 2, 3, 4, 5, 6, 7], "1 2 3", [1, 2, 3, 4, 5, None], [1, 2, 3, 4, 5, 1e9]],
)
def test_bad_polygons_are_refused(polygon: Any) -> None:
    with pytest.raises(InputError, match=r"polygon: .* at least three points"):
        fill_polygons([polygon], (10, 10))


def test_polygons_with_nan_are_refused() -> None:
    with pytest.raises(InputError, match="polygon"):
        fill_polygons([[float("nan"), 1, 4, 1, 4, 4]], (10, 10))
