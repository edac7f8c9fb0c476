"""Mattes of composed pictures, whose true alpha is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.errors import InputError
from vostrack.refine.matting import refined_matte, without_specks


def compose(blur: float, seed: int = 0) -> tuple[UInt8Array, FloatArray]:
    """A reddish disc with an edge of some width over a greenish ground, both uneven."""
    random = np.random.default_rng(seed)
    noise = random.normal(size=(2, 96, 128, 1)).astype(np.float32)
    rough = [cv2.GaussianBlur(part, (0, 0), 4)[..., None] * 60 for part in noise]
    front, behind = np.array([180, 80, 60]) + rough[0], np.array([70, 130, 90]) + rough[1]
    disc = np.zeros((384, 512), np.uint8)
    cv2.circle(disc, (260, 190), 110, 255, -1, cv2.LINE_AA)
    small = cv2.resize(disc, (128, 96), interpolation=cv2.INTER_AREA)
    alpha = np.asarray(small, np.float32) / np.float32(255)
    if blur:
        alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), blur), np.float32)
    over = alpha[..., None]
    image = over * front + (1 - over) * behind + random.normal(size=(96, 128, 3)) * 1.5
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), np.asarray(alpha, np.float32)


def regions(alpha: FloatArray, level: float) -> list[int]:
    """The sizes of the regions above and below a level."""
    sizes = []
    for mask in (alpha >= level, alpha < level):
        _, _, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        sizes += facts[1:, cv2.CC_STAT_AREA].tolist()
    return sizes


@pytest.mark.parametrize("blur", [0, 1, 2])
@pytest.mark.parametrize("shift", [0, 2])
def test_the_edge_is_as_soft_as_the_picture(blur: float, shift: int) -> None:
    image, truth = compose(blur)
    mask = np.roll(truth >= 0.5, shift, axis=1).astype(np.float32)
    alpha = refined_matte(image, mask)
    error, before = np.abs(alpha - truth).mean(), np.abs(mask - truth).mean()
    assert error < 0.5 * before
    assert error < 0.003


@pytest.mark.parametrize("size", [(96, 128), (900, 1200)])
def test_away_from_the_edge_it_is_the_mask(size: tuple[int, int]) -> None:
    image, truth = compose(1)
    image = np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)
    truth = np.asarray(cv2.resize(truth, size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
    mask = (truth >= 0.5).astype(np.float32)
    alpha = refined_matte(image, mask)
    assert alpha.dtype == np.float32
    assert alpha.min() == 0
    assert alpha.max() == 1
    reach = 2 * round(9 * max(1, max(size) / 854)) + 1
    inner = cv2.erode(mask, np.ones((reach, reach))) == 1
    outer = cv2.dilate(mask, np.ones((reach, reach))) == 0
    assert (alpha[inner] == 1).all()
    assert (alpha[outer] == 0).all()
    assert np.abs(alpha - truth).mean() < 0.01


def test_where_colours_are_equal_the_mask_decides() -> None:
    _, truth = compose(0)
    mask = (truth >= 0.5).astype(np.float32)
    alpha = refined_matte(np.full((96, 128, 3), 90, np.uint8), mask)
    assert ((alpha >= 0.5) == (mask == 1)).mean() > 0.995


def test_thin_and_small_objects_stay() -> None:
    image = np.full((64, 96, 3), 60, np.uint8)
    image[30:34] = (200, 190, 30)
    image[8:14, 10:16] = (200, 190, 30)
    mask = (image[..., 0] > 100).astype(np.float32)
    alpha = refined_matte(image, mask)
    assert np.abs(alpha - mask).max() < 0.1


@pytest.mark.parametrize("value", [0, 1])
def test_an_object_of_all_or_nothing(value: int) -> None:
    image, _ = compose(0)
    alpha = refined_matte(image, np.full((96, 128), value, np.float32))
    assert (alpha == value).all()


def test_sizes_must_agree() -> None:
    image, _ = compose(0)
    with pytest.raises(
        InputError, match=r"expected 128 x 96 pixels like the picture, got 96 x 128"
    ):
        refined_matte(image, np.zeros((128, 96), np.float32))


@pytest.mark.parametrize("seed", range(3))
def test_no_specks_at_common_levels(seed: int) -> None:
    random = np.random.default_rng(seed)
    smooth = cv2.GaussianBlur(random.random((60, 80)).astype(np.float32), (0, 0), 1 + seed / 2)
    noisy = np.asarray(np.clip((smooth - smooth.mean()) * 6 + 0.5, 0, 1), np.float32)
    assert min(regions(noisy, 0.5)) <= 8
    clean = without_specks(noisy)
    stored = np.asarray(np.rint(clean * 255) / 255, np.float32)
    for level in (1, 64, 128, 192, 255):
        assert min(regions(stored, (level - 0.5) / 255)) > 8
    assert np.abs(clean - noisy).mean() < 0.1


def test_a_matte_without_specks_stays_as_it_is() -> None:
    _, truth = compose(2)
    assert (without_specks(truth) == truth).all()
