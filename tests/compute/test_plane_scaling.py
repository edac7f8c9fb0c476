"""OpenCV scales maps as torch does."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from vostrack.compute.plane_scaling import averaged, scaled


@pytest.mark.parametrize("size", [(31, 50), (8, 12), (5, 7)])
def test_maps_are_scaled_as_torch_does(size: tuple[int, int]) -> None:
    maps = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    cut = maps[:, :, 3:, 5:]
    wanted = F.interpolate(cut, size=size, mode="bilinear", align_corners=False)
    torch.testing.assert_close(scaled(cut, size), wanted, atol=2e-5, rtol=0)
    wanted = F.interpolate(maps, size=size, mode="area")
    torch.testing.assert_close(averaged(maps, size), wanted, atol=1e-6, rtol=0)


def test_gradients_are_followed_where_they_are_wanted() -> None:
    maps = torch.rand(1, 1, 4, 6, requires_grad=True)
    total = scaled(maps, (8, 12)).sum() + averaged(maps, (2, 3)).sum()
    total.backward()  # type: ignore[no-untyped-call]
    assert maps.grad is not None
    torch.testing.assert_close(maps.grad.sum(), torch.tensor(24 * 4 + 24 / 4.0))
