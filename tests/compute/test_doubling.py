"""Maps at twice the size against torch's."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from vostrack.compute.doubling import doubled


@pytest.mark.parametrize("size", [(1, 1, 1, 1), (2, 1, 1, 5), (3, 1, 7, 4), (1, 1, 16, 33)])
def test_values_and_gradients_are_those_of_torch(size: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    maps = torch.randn(size)
    found = []
    for scale in (doubled, lambda x: F.interpolate(x, scale_factor=2, mode="bilinear")):
        leaf = maps.clone().requires_grad_()
        result = scale(leaf)
        weights = torch.randn(result.shape, generator=torch.Generator().manual_seed(1))
        (result * weights).sum().backward()  # type: ignore[no-untyped-call]
        found.append((result, leaf.grad))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=2e-6, rtol=1e-5)


def test_other_types_are_left_to_torch() -> None:
    maps = torch.randn(1, 1, 3, 4, dtype=torch.float64)
    wanted = F.interpolate(maps, scale_factor=2, mode="bilinear")
    torch.testing.assert_close(doubled(maps), wanted)
