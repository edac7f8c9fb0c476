"""Where pixels were before."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from vostrack.arrays import UInt8Array
from vostrack.compute.optical_flow import FlowField, find_flow, gray_bytes, warped


def texture(seed: int = 0, size: tuple[int, int] = (160, 208)) -> UInt8Array:
    """Return smooth noise (h, w)."""
    noise = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3).astype(np.float32)
    low, high = smooth.min(), smooth.max()
    stretched: UInt8Array = ((smooth - low) / (high - low) * 255).astype(np.uint8)
    return stretched


def moved(image: UInt8Array, matrix: list[list[float]]) -> UInt8Array:
    how = np.array(matrix, np.float64)
    result = cv2.warpAffine(image, how, image.shape[::-1], borderMode=cv2.BORDER_REFLECT)
    return np.ascontiguousarray(result, np.uint8)


def test_a_shift_is_found_and_trusted() -> None:
    before = texture()
    now = moved(before, [[1, 0, 6], [0, 1, -4]])
    flow = find_flow(now, before)
    y, x = np.mgrid[24:136, 24:184]
    inner = np.s_[24:136, 24:184]
    assert np.abs(flow.x[inner] - (x - 6)).mean() < 0.3
    assert np.abs(flow.y[inner] - (y + 4)).mean() < 0.3
    assert flow.trust[inner].mean() > 0.9
    assert flow.trust[:, :4].max() < 0.2  # these columns have come in from outside
    assert flow.trust.min() >= 0
    assert flow.trust.max() <= 1


def test_what_was_hidden_or_has_changed_is_not_trusted() -> None:
    before = texture()
    now = before.copy()
    now[40:100, 60:130] = texture(1)[40:100, 60:130]
    flow = find_flow(now, before)
    assert flow.trust[50:90, 70:120].mean() < 0.3
    assert flow.trust[:30].mean() > 0.95
    assert find_flow(texture(2), before).trust.mean() < 0.3


def test_a_way_that_does_not_lead_back_is_not_trusted() -> None:
    """Beside a moving square on plain gray the brightness fits wherever the flow leads."""
    before, now = np.full((2, 160, 208), 128, np.uint8)
    square = texture(4)[:60, :60]
    before[50:110, 60:120] = now[50:110, 76:136] = square
    flow = find_flow(now, before)
    assert flow.trust[55:105, 138:156].mean() < 0.6
    assert flow.trust[60:100, 86:126].mean() > 0.95


def test_maps_move_with_the_image() -> None:
    before = texture()
    now = moved(before, [[1, 0, 6], [0, 1, -4]])
    masks = np.zeros((2, *before.shape), np.float32)
    masks[0, 50:90, 60:110], masks[1, 100:120, 20:60] = 1, 0.5
    found = warped(masks, find_flow(now, before))
    wanted = np.roll(masks, (-4, 6), (1, 2))
    assert np.abs(found - wanted).mean() < 0.003
    assert found.dtype == np.float32


def test_small_images_are_searched_in_larger_ones() -> None:
    before = texture(size=(48, 64))
    flow = find_flow(moved(before, [[1, 0, 3], [0, 1, -2]]), before)
    y, x = np.mgrid[10:38, 10:54]
    inner = np.s_[10:38, 10:54]
    assert np.abs(flow.x[inner] - (x - 3)).mean() < 0.3
    assert np.abs(flow.y[inner] - (y + 2)).mean() < 0.3
    assert flow.trust[inner].mean() > 0.8


def test_the_same_image_stays_where_it_is() -> None:
    image = texture()
    flow = find_flow(image, image)
    assert np.abs(flow.x - np.arange(208)).max() < 0.05
    assert np.abs(flow.y - np.arange(160)[:, None]).max() < 0.05
    assert flow.trust.min() > 0.95


@pytest.mark.parametrize("size", [(32, 32), (32, 640), (480, 32), (33, 47)])
@pytest.mark.parametrize("value", [0, 255])
def test_small_and_empty_images(size: tuple[int, int], value: int) -> None:
    image = np.full(size, value, np.uint8)
    flow = find_flow(image, image)
    assert flow.x.shape == flow.y.shape == flow.trust.shape == size
    assert np.isfinite(flow.trust).all()
    assert np.isfinite(flow.x).all()


def test_the_result_does_not_depend_on_the_number_of_threads() -> None:
    before, now = texture(), moved(texture(), [[0.99, 0.05, 2], [-0.05, 0.99, 3]])
    threads = cv2.getNumThreads()
    found = []
    try:
        for count in (1, 2, 5):
            cv2.setNumThreads(count)
            found.append(find_flow(now, before))
    finally:
        cv2.setNumThreads(threads)
    for other in found[1:]:
        np.testing.assert_array_equal(found[0].x, other.x)
        np.testing.assert_array_equal(found[0].trust, other.trust)


def test_brightness_is_that_of_opencv() -> None:
    image = np.random.default_rng(3).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    wanted = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    found = gray_bytes(torch.from_numpy(image).permute(2, 0, 1).float() / 255)
    assert found.dtype == torch.uint8
    assert np.abs(found.numpy().astype(int) - wanted).max() <= 1


@pytest.mark.parametrize("part", [np.s_[0:60, 150:208], np.s_[40:41, 30:90], np.s_[100:160, 0:3]])
def test_a_part_is_that_of_the_whole(part: tuple[slice, slice]) -> None:
    before = texture()
    flow = find_flow(moved(before, [[1.02, 0.01, 5], [0, 0.98, -4]]), before)
    assert np.array_equal(flow.trust_in(part), flow.trust[part])
    maps = texture(3)[None].astype(np.float32)
    assert np.array_equal(warped(maps, flow, part), warped(maps, flow)[0][part][None])


@pytest.mark.parametrize("box", [np.s_[30:60, 40:90], np.s_[0:5, 0:5], np.s_[150:160, 200:208]])
def test_what_was_in_a_box_is_within_its_reach(box: tuple[slice, slice]) -> None:
    before = texture()
    flow = find_flow(moved(before, [[1.02, 0.01, 5], [0, 0.98, -4]]), before)
    mask = np.zeros((1, *before.shape), np.float32)
    mask[0][box] = 1
    found = warped(mask, flow)[0]
    rows, columns = flow.reach(box) or np.s_[0:0, 0:0]
    inside = np.zeros(found.shape, bool)
    inside[rows, columns] = True
    assert not found[~inside].any()
    assert inside.mean() < 0.25


def test_what_has_left_the_image_is_nowhere() -> None:
    back = np.full((96, 96, 2), 20, np.float32)
    flow = FlowField(back, -back, (texture(size=(96, 96)), texture(size=(96, 96))))
    assert flow.reach((slice(2, 10), slice(2, 10))) is None
    assert flow.reach((slice(30, 40), slice(50, 60))) == (slice(9, 21), slice(29, 41))
