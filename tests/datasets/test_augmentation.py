"""Augmentation: what is drawn, and what a draw does to image and labels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from vostrack.datasets.augmentation import (
    IGNORE,
    AugmentationConfig,
    AugmentationParams,
    apply_augmentation,
    draw_augmentation,
)
from vostrack.errors import InputError


def picture(height: int = 41, width: int = 61) -> tuple[Tensor, Tensor]:
    """A smooth image whose red channel is 1 exactly where the label is 1."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    labels = (((y - 18) / 9.0) ** 2 + ((x - 25) / 14.0) ** 2 < 1).long()
    image = torch.stack([labels.float(), y / height, x / width])
    return image, labels


def test_the_draw_is_replayable_and_in_range() -> None:
    config = AugmentationConfig(
        scale=(0.5, 2), rotation=30, shift=0.2, brightness=0.3, contrast=0.2, saturation=0.1
    )
    generator = torch.Generator().manual_seed(0)
    draws = [draw_augmentation(config, generator) for _ in range(300)]
    again = torch.Generator().manual_seed(0)
    assert draws == [draw_augmentation(config, again) for _ in range(300)]
    scales = [d.scale for d in draws]
    assert 0.5 <= min(scales) < 0.6
    assert 1.9 < max(scales) <= 2
    angles = [d.angle for d in draws]
    assert -30 <= min(angles) < -27
    assert 27 < max(angles) <= 30
    assert max(abs(v) for d in draws for v in d.shift) <= 0.2
    assert 100 < sum(d.flip for d in draws) < 200
    assert all(0.7 <= d.brightness <= 1.3 and 0.8 <= d.contrast <= 1.2 for d in draws)


def test_identity_probability() -> None:
    generator = torch.Generator().manual_seed(1)
    always = AugmentationConfig(identity=1.0)
    assert draw_augmentation(always, generator) == AugmentationParams()
    image, labels = picture()
    same, also = apply_augmentation(image, labels, AugmentationParams())
    assert same is image
    assert also is labels


@pytest.mark.parametrize(
    "params",
    [
        AugmentationParams(scale=1.3),
        AugmentationParams(angle=17),
        AugmentationParams(shift=(0.1, -0.15)),
        AugmentationParams(flip=True),
        AugmentationParams(scale=0.8, angle=-9, shift=(-0.1, 0.05), flip=True),
    ],
)
def test_image_and_labels_move_together(params: AugmentationParams) -> None:
    image, labels = picture()
    warped, moved = apply_augmentation(image, labels, params)
    counted = moved != IGNORE
    # Away from the object's edge, the red channel says what the label says.
    sure = ((warped[0] < 0.05) | (warped[0] > 0.95)) & counted
    assert sure.float().mean() > 0.6
    assert torch.equal(moved[sure], (warped[0] > 0.5).long()[sure])
    assert (moved == 1).any()


def test_against_opencvs_warp() -> None:
    """One matrix, built the usual way: scale and rotate about the middle, then shift."""
    image, labels = picture()
    height, width = labels.shape
    params = AugmentationParams(scale=1.2, angle=11, shift=(0.08, -0.06))
    warped, moved = apply_augmentation(image, labels, params)
    # OpenCV counts pixel centres from 0; the middle of the frame is at (size - 1) / 2 there.
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), 11, 1.2)
    matrix[:, 2] += np.array([0.08 * width, -0.06 * height])
    expected = cv2.warpAffine(
        image.permute(1, 2, 0).numpy(), matrix, (width, height), borderMode=cv2.BORDER_REFLECT
    )
    inside = (moved != IGNORE).numpy()
    error = np.abs(warped.permute(1, 2, 0).numpy() - expected)[inside]
    # OpenCV interpolates with 1/32 pixel fixed-point positions.
    assert np.quantile(error, 0.99) < 0.04


def test_a_whole_pixel_shift_is_exact_and_marks_the_outside() -> None:
    image, labels = picture(40, 60)
    warped, moved = apply_augmentation(image, labels, AugmentationParams(shift=(0.1, 0.0)))
    torch.testing.assert_close(warped[:, :, 6:], image[:, :, :-6], atol=1e-5, rtol=0)
    assert torch.equal(moved[:, 6:], labels[:, :-6])
    assert (moved[:, :6] == IGNORE).all()


def test_crop_about_a_center() -> None:
    image, labels = picture(40, 60)
    crop, cut = apply_augmentation(
        image, labels, AugmentationParams(), center=(30, 20), size=(10, 20)
    )
    torch.testing.assert_close(crop, image[:, 15:25, 20:40], atol=1e-5, rtol=0)
    assert torch.equal(cut, labels[15:25, 20:40])


def test_void_stays_void() -> None:
    image, labels = picture()
    labels[5:9, 5:9] = IGNORE
    _, moved = apply_augmentation(image, labels, AugmentationParams(flip=True))
    assert torch.equal(moved, labels.flip(1))


def test_colours() -> None:
    image, labels = picture()
    bright, _ = apply_augmentation(image, labels, AugmentationParams(brightness=0.5))
    torch.testing.assert_close(bright, image * 0.5, atol=1e-5, rtol=0)
    gray, _ = apply_augmentation(image, labels, AugmentationParams(saturation=0.0))
    torch.testing.assert_close(gray[0], gray[2])
    flat, _ = apply_augmentation(gray, labels, AugmentationParams(contrast=0.0))
    assert flat.std() < 1e-5


@pytest.mark.parametrize("config", [{"scale": (0.0, 1.0)}, {"flip": 1.5}, {"scale": (2.0, 1.0)}])
def test_bad_ranges(config: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(config))):
        AugmentationConfig(**config)  # type: ignore[arg-type]
