"""Strands of hair that the mask of an object leaves out."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vostrack.arrays import BoolArray, FloatArray, UInt8Array
from vostrack.refine.matting import refined_matte
from vostrack.refine.matting.strands import strands_beyond

SIZE = (160, 220)


def _hairy(*, blob: bool = False) -> tuple[UInt8Array, FloatArray, BoolArray]:
    """A head with six hairs over a green ground; return picture, true alpha and the mask of it."""
    head, hairs = (np.zeros((4 * SIZE[0], 4 * SIZE[1]), np.uint8) for _ in range(2))
    cv2.circle(head, (440, 320), 150, 255, -1, cv2.LINE_AA)
    for angle in np.linspace(0.3, 5.9, 6):
        end = 440 + 280 * np.cos(angle), 320 + 280 * np.sin(angle)
        cv2.line(hairs, (440, 320), (round(end[0]), round(end[1])), 255, 7, cv2.LINE_AA)
    both = np.maximum(head, hairs)
    alpha = cv2.resize(both, SIZE[::-1], interpolation=cv2.INTER_AREA) / np.float32(255)
    mask = cv2.resize(head, SIZE[::-1], interpolation=cv2.INTER_AREA) > 127
    random = np.random.default_rng(0)
    noise = cv2.GaussianBlur(random.normal(size=(*SIZE, 1)).astype(np.float32), (0, 0), 3)[
        ..., None
    ]
    front, behind = np.array([150, 80, 50]) + 40 * noise, np.array([70, 140, 100]) + 40 * noise
    image = alpha[..., None] * front + (1 - alpha[..., None]) * behind
    if blob:
        image[20:44, 150:176] = (150, 80, 50)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), alpha, mask


def _loss(found: FloatArray, truth: FloatArray) -> float:
    return float(np.abs(found - truth).mean())


def test_strands_are_found() -> None:
    image, truth, mask = _hairy()
    coarse = mask.astype(np.float32)
    plain, hair = refined_matte(image, coarse), refined_matte(image, coarse, "hair")
    assert _loss(hair, truth) < 0.5 * _loss(plain, truth)
    assert ((hair >= 0.5) & (truth >= 0.5)).sum() > 0.9 * (truth >= 0.5).sum()
    # Specks of few levels are removed from each.
    assert (hair >= plain - 0.01).mean() > 0.999


def test_a_patch_of_the_colour_of_the_object_is_no_strand() -> None:
    image, _, mask = _hairy(blob=True)
    hair = refined_matte(image, mask.astype(np.float32), "hair")
    assert hair[26:38, 156:170].max() < 0.2


@pytest.mark.parametrize(("joined", "kept"), [(True, True), (False, False)])
def test_a_strand_is_joined_to_the_object(joined: bool, kept: bool) -> None:
    plain, far = np.zeros((60, 80), np.float32), np.zeros((60, 80), np.float32)
    plain[20:40, 10:30] = 1
    far[29:31, 30 if joined else 34 : 70] = 0.8
    found = strands_beyond(plain, far, plain > 0, 1.0)
    assert (found[29:31, 40:70] > 0.5).all() == kept
    np.testing.assert_array_equal(found[:, :30], plain[:, :30])


def test_without_strands_nothing_changes() -> None:
    plain = np.zeros((60, 80), np.float32)
    plain[20:40, 10:30] = 1
    np.testing.assert_array_equal(strands_beyond(plain, plain, plain > 0, 1.0), plain)
    np.testing.assert_array_equal(strands_beyond(plain * 0, plain, plain > 0, 1.0), plain * 0)
