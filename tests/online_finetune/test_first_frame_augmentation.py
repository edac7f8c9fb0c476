"""Dreamed first frames: replayable, labelled as they look."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from vostrack.arrays import DoubleArray, FloatArray, UInt8Array
from vostrack.errors import InputError
from vostrack.online_finetune.first_frame_augmentation import (
    FirstFrameAugmentationConfig,
    FirstFrameAugmentationParams,
    FirstFrameAugmenter,
    Placement,
    draw_first_frame_augmentation,
)


@pytest.fixture
def scene() -> tuple[UInt8Array, UInt8Array]:
    """A red box and a green box on gray."""
    frame = np.full((80, 120, 3), 120, np.uint8)
    labels = np.zeros((80, 120), np.uint8)
    frame[20:40, 20:50], labels[20:40, 20:50] = (250, 10, 10), 1
    frame[45:70, 70:90], labels[45:70, 70:90] = (10, 250, 10), 2
    return frame, labels


STILL = FirstFrameAugmentationParams(None, (1, 2), Placement(), None, 1.0, (1.0, 1.0, 1.0), 0.0)


def placed(*objects: Placement, order: tuple[int, ...] = (1, 2)) -> FirstFrameAugmentationParams:
    return FirstFrameAugmentationParams(
        objects, order, Placement(), None, 1.0, (1.0, 1.0, 1.0), 0.0
    )


def test_nothing_drawn_gives_the_frame_back(scene: tuple[UInt8Array, UInt8Array]) -> None:
    image, labels = FirstFrameAugmenter(*scene).apply(STILL)
    np.testing.assert_allclose(image * 255, scene[0], atol=1e-3)
    np.testing.assert_array_equal(labels, scene[1])


def test_an_object_moves_with_its_label_and_its_place_is_closed(
    scene: tuple[UInt8Array, UInt8Array],
) -> None:
    image, labels = FirstFrameAugmenter(*scene).apply(placed(Placement(dx=40, dy=-10), Placement()))
    expected = np.zeros_like(scene[1])
    expected[10:30, 60:90], expected[45:70, 70:90] = 1, 2
    np.testing.assert_array_equal(labels, expected)
    assert (image[12:28, 62:88, 0] > 0.9).all()
    # Where it was there is gray now, as around it.
    np.testing.assert_allclose(image[20:40, 20:50], 120 / 255, atol=0.02)


def test_the_later_object_lies_on_top(scene: tuple[UInt8Array, UInt8Array]) -> None:
    onto = Placement(dx=45, dy=27)
    for order, winner in (((1, 2), 2), ((2, 1), 1)):
        image, labels = FirstFrameAugmenter(*scene).apply(placed(onto, Placement(), order=order))
        assert labels[57, 80] == winner
        assert image[57, 80].argmax() == winner - 1


def test_scale_and_mirror_are_about_the_centre(scene: tuple[UInt8Array, UInt8Array]) -> None:
    matrix = Placement(dx=3, dy=4, scale=(2, 0.5), mirror=True).matrix((10, 20))
    np.testing.assert_allclose(matrix @ (10, 20, 1), (13, 24))
    np.testing.assert_allclose(matrix @ (11, 22, 1), (11, 25))


def test_an_occluder_hides_the_object_and_its_label(scene: tuple[UInt8Array, UInt8Array]) -> None:
    params = FirstFrameAugmentationParams(
        None, (1, 2), Placement(), (35, 30, 6, 200, 0), 1.0, (1.0, 1.0, 1.0), 0.0
    )
    image, labels = FirstFrameAugmenter(*scene).apply(params)
    assert (labels[20:40, 30:40] == 0).all()
    assert (labels[20:40, 44:50] == 1).all()
    assert image[30, 35, 0] < 0.6


def test_draws_are_replayable_and_differ() -> None:
    config, boxes = (
        FirstFrameAugmentationConfig(still=0, occluder=1),
        [(1, 2, 30, 40), (5, 5, 9, 9)],
    )

    def draws(seed: int) -> list[FirstFrameAugmentationParams]:
        generator = torch.Generator().manual_seed(seed)
        return [
            draw_first_frame_augmentation(config, generator, boxes, (80, 120)) for _ in range(5)
        ]

    assert draws(1) == draws(1)
    assert len({str(d) for d in draws(1) + draws(2)}) == 10


def test_light_changes_the_image_and_not_the_labels(scene: tuple[UInt8Array, UInt8Array]) -> None:
    params = FirstFrameAugmentationParams(
        None, (1, 2), Placement(), None, 2.0, (1.0, 0.5, 1.0), 0.0
    )
    image, labels = FirstFrameAugmenter(*scene).apply(params)
    np.testing.assert_array_equal(labels, scene[1])
    np.testing.assert_allclose(
        image[0, 0], [(120 / 255) ** 2, (120 / 255) ** 2 / 2, (120 / 255) ** 2], rtol=1e-5
    )


def test_void_belongs_to_no_object(scene: tuple[UInt8Array, UInt8Array]) -> None:
    frame, labels = scene
    labels[:5] = 255
    augmenter = FirstFrameAugmenter(frame, labels)
    assert augmenter.boxes == [(20, 20, 50, 40), (70, 45, 90, 70)]
    _, moved = augmenter.apply(placed(Placement(), Placement()))
    assert set(np.unique(moved)) == {0, 1, 2}


def test_bad_numbers_are_named() -> None:
    with pytest.raises(InputError, match="still"):
        FirstFrameAugmentationConfig(still=1.5)
    with pytest.raises(InputError, match="rotation"):
        FirstFrameAugmentationConfig(rotation=-1)


@pytest.mark.parametrize("seed", range(12))
def test_only_what_an_object_reaches_is_moved(
    scene: tuple[UInt8Array, UInt8Array], seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    scene[0][...] = torch.randint(0, 256, scene[0].shape, generator=generator).numpy()
    augmenter = FirstFrameAugmenter(*scene)
    config = FirstFrameAugmentationConfig(still=0, occluder=0, blur=0, shift=0.8, scale=0.4)
    params = draw_first_frame_augmentation(config, generator, augmenter.boxes, scene[1].shape)
    sample = augmenter.apply(params)
    image, labels = moved_as_a_whole(augmenter, params)
    image = np.clip((image / 255) ** params.gamma * np.array(params.gains), 0, 1)
    np.testing.assert_allclose(sample.image, image, atol=2e-4)
    np.testing.assert_array_equal(sample.labels, labels)


def moved_as_a_whole(
    augmenter: FirstFrameAugmenter, params: FirstFrameAugmentationParams
) -> tuple[FloatArray, UInt8Array]:
    """Move the whole frame for every object, and take the object's pixels of it."""
    frame, labels = augmenter.frame.astype(np.float32), augmenter.labels
    rows, columns = labels.shape
    background = augmenter._background.astype(np.float32)
    matrix = params.background.matrix((columns / 2, rows / 2))
    image = moved(background, matrix, cv2.BORDER_REFLECT_101)
    found = np.zeros_like(labels)
    assert params.objects is not None
    for slot in params.order:
        x0, y0, x1, y1 = augmenter.boxes[slot - 1]
        matrix = params.objects[slot - 1].matrix(((x0 + x1) / 2, (y0 + y1) / 2))
        cut = moved((labels == slot).astype(np.float32), matrix, cv2.BORDER_CONSTANT)
        alpha = cv2.GaussianBlur(cut, (0, 0), 0.7)
        image += alpha[..., None] * (moved(frame, matrix, cv2.BORDER_REFLECT_101) - image)
        found[alpha > 0.5] = slot
    return image, found


def moved(array: FloatArray, matrix: DoubleArray, border: int) -> FloatArray:
    size = (array.shape[1], array.shape[0])
    return cv2.warpAffine(array, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border).astype(
        np.float32
    )
