"""Convolutions from float32 to float32 in bytes: near the layer, which stays as it is."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from vostrack.models.byte_convolution import has_fast_int8
from vostrack.models.byte_layers import ByteLayer, convolved_part, with_byte_layers
from vostrack.models.byte_map import ByteMap

pytestmark = [
    pytest.mark.skipif(not has_fast_int8(), reason="no fast 8-bit convolutions here"),
    pytest.mark.usefixtures("_no_gradients"),
]


@pytest.fixture
def _no_gradients() -> object:
    with torch.no_grad():
        yield


def _layer(inputs: int = 9, outputs: int = 7, dilation: int = 1) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation)


def _map(channels: int = 9, size: tuple[int, int] = (11, 13), count: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, channels, *size, generator=generator)


def _assert_near(found: Tensor, wanted: Tensor) -> None:
    assert found.shape == wanted.shape
    assert found.dtype == torch.float32
    # A step of the input is 1/255 of the largest value, one of the weights 1/64.
    assert float((found - wanted).norm() / wanted.norm()) < 0.02


@pytest.mark.parametrize("size", [(11, 13), (1, 1), (40, 9)])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("largest", [0.003, 1.0, 400.0])
def test_it_is_near_the_layer(size: tuple[int, int], dilation: int, largest: float) -> None:
    layer, x = _layer(dilation=dilation), _map(size=size).relu() * largest
    layer.bias.mul_(largest)  # type: ignore[union-attr]  # there is one
    _assert_near(ByteLayer(layer)(x), layer(x))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_inputs_may_have_signs(layout: torch.memory_format) -> None:
    layer, x = _layer(), _map().contiguous(memory_format=layout)
    _assert_near(ByteLayer(layer, signed=True)(x), layer(x))


def test_a_map_of_zeros_gives_the_bias() -> None:
    layer, x = _layer(), torch.zeros(1, 9, 4, 5)
    for signed in (False, True):
        torch.testing.assert_close(ByteLayer(layer, signed=signed)(x), layer(x))


def test_bytes_are_taken_as_they_are() -> None:
    layer = _layer()
    values = (100 * _map().abs()).clamp(max=255).to(torch.uint8)
    values = values.contiguous(memory_format=torch.channels_last)
    kept = ByteMap(values, 0.02)
    _assert_near(ByteLayer(layer)(kept), layer(kept.floats()))


@pytest.mark.parametrize("signed", [False, True])
def test_channels_can_be_convolved_apart(signed: bool) -> None:
    layer = _layer()
    x = _map() if signed else _map().relu()
    for made in (layer, ByteLayer(layer, signed=signed)):
        first = convolved_part(made, x[:, :4], 0, biased=True)
        rest = convolved_part(made, x[:, 4:], 4, biased=False)
        _assert_near(first + rest, layer(x))


def test_all_convolutions_are_replaced_but_those_that_are_kept() -> None:
    torch.manual_seed(2)
    inner = nn.Sequential(nn.Conv2d(5, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 4, 1))
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), inner)
    before = copy.deepcopy(network.state_dict())
    changed = with_byte_layers(network, kept=[inner[2]], signed=[network[0]])
    assert isinstance(changed[0], ByteLayer)
    first, _, last = changed[2].children()
    assert isinstance(first, ByteLayer)
    assert last is inner[2]
    x = _map(3, (20, 24))
    _assert_near(changed(x), network(x))
    assert isinstance(network[0], nn.Conv2d)
    assert isinstance(inner[0], nn.Conv2d)
    assert all(value.equal(before[name]) for name, value in network.state_dict().items())
