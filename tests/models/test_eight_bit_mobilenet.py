"""MobileNetV2 in 8 bits: near float32 on maps of every parity, and signs survive."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vostrack.models.byte_convolution import ByteConvolution, has_fast_int8, to_bytes
from vostrack.models.deeplab_mobilenetv2 import DeepLabMobileNetV2, SameConv
from vostrack.models.eight_bit_mobilenet import EightBitMobileNet

pytestmark = pytest.mark.skipif(not has_fast_int8(), reason="no fast 8-bit convolutions here")


@pytest.fixture(scope="module")
def features() -> nn.Sequential:
    torch.manual_seed(0)
    return DeepLabMobileNetV2().features.eval().to(memory_format=torch.channels_last)


def _image(height: int, width: int, count: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(height)
    small = torch.rand(count, 3, 6, 7, generator=generator)
    image = F.interpolate(small, size=(height, width), mode="bilinear") * 255
    return image.round().div(255).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("size", [(64, 80), (60, 77), (33, 48)])
def test_it_is_near_float32(size: tuple[int, int], features: nn.Sequential) -> None:
    image = _image(*size)
    layers = EightBitMobileNet(features, EightBitMobileNet.measure(features, image * 2 - 1))
    with torch.no_grad():
        wanted = features(image * 2 - 1)
    found = layers(image)
    assert found.shape == wanted.shape
    assert found.dtype == torch.float32
    assert float((found - wanted).norm() / wanted.norm()) < 0.05


def test_each_block_is_near_float32_where_inputs_have_signs(features: nn.Sequential) -> None:
    image = _image(64, 80)
    layers = EightBitMobileNet(features, EightBitMobileNet.measure(features, image * 2 - 1))
    x = image * 2 - 1
    with torch.no_grad():
        for layer in features[:2]:
            x = layer(x)
        for block, made in zip(features[2:], layers._blocks, strict=True):
            assert float(x.min()) < 0
            assert made.zero > 0
            wanted, found = block(x), made(x)
            assert float((found - wanted).norm() / wanted.norm()) < 0.05
            x = wanted


def test_gray_is_as_far_from_0_as_it_should_be(features: nn.Sequential) -> None:
    picture = torch.full((1, 3, 20, 24), 128, dtype=torch.uint8)
    layers, changed = copy.deepcopy(features), _image(64, 80) * 2 - 1
    ranges = EightBitMobileNet.measure(features, changed)
    colours = layers[0][0]  # type: ignore[index]  # the first convolution
    with torch.no_grad():
        colours.weight.fill_(1.0)
        colours.bias.fill_(0.5)
    found = EightBitMobileNet(layers, ranges)._first.colours(picture)[..., 1:-1, 1:-1]
    # A byte of 128 is 1/255 in [-1, 1]; a step of the result is 6/255.
    assert int(found.min()) == int(found.max())
    assert float(found[0, 0, 0, 0]) * 6 / 255 == pytest.approx(0.5 + 27 / 255, abs=3 / 255)
    assert colours.bias.tolist() == [0.5] * 32


def test_images_do_not_depend_on_one_another_or_on_earlier_sizes(features: nn.Sequential) -> None:
    image = _image(48, 64, 2)
    layers = EightBitMobileNet(features, EightBitMobileNet.measure(features, image * 2 - 1))
    together = layers(image)
    layers(_image(33, 47))
    for one, alone in zip(image, together, strict=True):
        assert torch.equal(layers(one[None])[0], alone)
    assert torch.equal(pickle.loads(pickle.dumps(layers))(image), together)


@pytest.mark.parametrize("size", [(9, 12), (8, 11)])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_plain_convolution_is_the_same(size: tuple[int, int], stride: int) -> None:
    torch.manual_seed(1)
    conv = SameConv(4, 4, 3, stride, groups=4)
    x = torch.randn(2, 4, *size)
    torch.testing.assert_close(conv.plain(size)(x), conv(x))


def test_zero_may_lie_between_the_bytes() -> None:
    torch.manual_seed(2)
    conv = nn.Conv2d(8, 6, 3, padding=1)
    x = (torch.rand(1, 8, 5, 7) * 3 - 1).contiguous(memory_format=torch.channels_last)
    scale, zero = 3 / 255, 85
    found = ByteConvolution(conv, scale, 1.0, zero).floats(to_bytes(x, scale, zero))
    torch.testing.assert_close(found, conv(x), atol=0.05, rtol=0)
