"""1 x 1 convolutions are what they are, whatever their dilation, and oneDNN computes them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch.profiler import profile

from vostrack.models.pointwise import pointwise


@pytest.mark.parametrize("bias", [True, False])
def test_it_is_a_plain_convolution(bias: bool) -> None:
    layer = pointwise(5, 3, bias=bias)
    assert {name: tuple(p.shape) for name, p in layer.named_parameters()} == {
        "weight": (3, 5, 1, 1),
        **({"bias": (3,)} if bias else {}),
    }
    x = torch.randn(2, 5, 7, 9, requires_grad=True)
    plain = F.conv2d(x, layer.weight, layer.bias)
    torch.testing.assert_close(layer(x), plain)
    weights = torch.randn_like(plain)
    expected, found = (
        torch.autograd.grad((y * weights).sum(), [x, layer.weight]) for y in (plain, layer(x))
    )
    torch.testing.assert_close(found, expected)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Threads are a setting of the whole process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(),  # type: ignore[no-untyped-call]
    reason="needs oneDNN",
)
@pytest.mark.usefixtures("one_thread")
def test_one_thread_uses_onednn() -> None:
    x = torch.randn(1, 64, 32, 32)
    layer = pointwise(64, 16)
    with profile() as told, torch.no_grad():
        layer(x)
    assert "aten::mkldnn_convolution" in {event.key for event in told.key_averages()}
