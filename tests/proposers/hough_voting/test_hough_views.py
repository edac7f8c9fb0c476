"""Averaging over views: with a predictor that is exact in every view, it changes nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vostrack.errors import InputError
from vostrack.proposers.hough_voting.boxes import cell_centres, encode_boxes
from vostrack.proposers.hough_voting.targets import cell_labels, instance_boxes
from vostrack.proposers.hough_voting.views import ViewConfig, average_views, unflip_transforms

STRIDE = 8


def exact_transforms(image: Tensor) -> Tensor:
    """The true transforms of one bright rectangle, said by every cell."""
    ids = (image[0, 0] > 0.5).long()
    boxes = instance_boxes(ids)[1].view(4, 1, 1)
    height, width = cell_labels(ids, STRIDE).shape
    return encode_boxes(boxes.expand(4, height, width), cell_centres(height, width, STRIDE))[None]


def picture() -> Tensor:
    image = torch.zeros(1, 3, 128, 192)
    image[:, :, 24:88, 16:136] = 1
    return image


def test_views_of_exact_transforms_agree() -> None:
    image = picture()
    expected = exact_transforms(image)
    config = ViewConfig((0.5, 1.0, 2.0))
    actual = average_views(exact_transforms, image, config, transforms=True)
    # Half a cell at the border is extrapolated where the grids of the scales differ.
    torch.testing.assert_close(
        actual[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1], rtol=0, atol=0.011
    )


def test_a_flip_alone_is_exact() -> None:
    image = picture()
    actual = average_views(exact_transforms, image, [1.0], transforms=True)
    torch.testing.assert_close(actual, exact_transforms(image))
    mirrored = unflip_transforms(exact_transforms(image.flip(-1)))
    torch.testing.assert_close(mirrored, exact_transforms(image))


def test_probabilities_are_averaged_without_a_change_of_sign() -> None:
    def predict(image: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(image, STRIDE)

    torch.manual_seed(0)
    image = torch.rand(1, 3, 64, 96)
    actual = average_views(predict, image, [1.0], transforms=False)
    torch.testing.assert_close(actual, predict(image))


def test_views_need_a_scale() -> None:
    with pytest.raises(InputError, match="scales"):
        ViewConfig(())
