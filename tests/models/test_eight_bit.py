"""Stages in 8 bits: near float32, the same on every call, and only where they can be."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vostrack.models import byte_convolution
from vostrack.models.backbones import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Backbone,
    build_backbone,
)
from vostrack.models.byte_convolution import has_fast_int8, to_bytes
from vostrack.models.byte_map import as_floats
from vostrack.models.eight_bit import EightBitStages, fits_eight_bits

pytestmark = pytest.mark.skipif(not has_fast_int8(), reason="no fast 8-bit convolutions here")


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    torch.manual_seed(0)
    built = build_backbone("resnet18", (2, 4, 8, 16), "folded").eval()
    return built.to(memory_format=torch.channels_last)


@pytest.fixture(scope="module")
def image() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    small = torch.randn(1, 3, 8, 10, generator=generator)
    return F.interpolate(small, size=(64, 80), mode="bilinear")


@pytest.fixture(scope="module")
def stages(backbone: Backbone, image: Tensor) -> EightBitStages:
    return EightBitStages(backbone, EightBitStages.measure(backbone, image, (4, 8, 16)))


@pytest.mark.parametrize("stride", [4, 8, 16])
def test_a_stage_is_near_float32(
    stride: int, backbone: Backbone, stages: EightBitStages, image: Tensor
) -> None:
    x = image
    with torch.no_grad():
        for before in (2, 4, 8, 16):
            if before == stride:
                break
            x = backbone.stage(x, before)
        wanted, found = backbone.stage(x, stride), stages(x, stride)
    assert found.shape == wanted.shape
    assert found.dtype == torch.float32
    assert float((found - wanted).norm() / wanted.norm()) < 0.06


def _normalized(picture: Tensor) -> Tensor:
    mean, std = (torch.tensor(x).view(1, 3, 1, 1) for x in (IMAGENET_MEAN, IMAGENET_STD))
    return (picture.float() / 255 - mean) / std


@pytest.mark.parametrize("size", [(64, 80), (50, 34)])
def test_early_maps_of_a_picture_are_near_float32(
    size: tuple[int, int], backbone: Backbone
) -> None:
    generator = torch.Generator().manual_seed(2)
    small = torch.rand(2, 3, 8, 10, generator=generator) * 255
    picture = F.interpolate(small, size=size, mode="bilinear").to(torch.uint8)
    picture = picture.contiguous(memory_format=torch.channels_last)
    kept, x = picture.clone(), _normalized(picture)
    stages = EightBitStages(backbone, EightBitStages.measure(backbone, x, (4, 8)))
    maps = [as_floats(level) for level in stages.early(picture)]
    assert torch.equal(picture, kept)
    with torch.no_grad():
        for stride, found, most in zip((2, 4, 8), maps, (0.03, 0.07, 0.09), strict=True):
            x = backbone.stage(x, stride)
            assert found.shape == x.shape
            assert found.dtype == torch.float32
            assert float((found - x).norm() / x.norm()) < most
    alone = [as_floats(level) for level in stages.early(picture[1:])]
    for together, one in zip(maps, alone, strict=True):
        assert torch.equal(together[1:], one)


def test_an_image_becomes_the_bytes_it_was_made_of() -> None:
    picture = torch.arange(2 * 3 * 256).view(2, 3, 16, 16).remainder(256).to(torch.uint8)
    planes = torch.zeros(2, 3, 20, 24)
    planes[..., 2:18, 4:20] = picture.float().div(255)
    found = byte_convolution.image_bytes(planes[..., 2:18, 4:20])
    assert torch.equal(found, picture)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(byte_convolution.image_bytes(picture), picture)


def test_around_a_picture_is_the_mean_colour(backbone: Backbone, image: Tensor) -> None:
    stages = EightBitStages(backbone, EightBitStages.measure(backbone, image, (4, 8, 16)))
    mean = (torch.tensor(IMAGENET_MEAN) * 255).round().to(torch.uint8).view(1, 3, 1, 1)
    picture = mean.expand(1, 3, 32, 48).contiguous(memory_format=torch.channels_last)
    f2 = stages.early(picture)[0].values
    assert torch.equal(f2, f2[..., 8:9, 8:9].expand_as(f2))
    # Zeros in place of the mean colour are seen at the border.
    assert not torch.equal(stages.early(torch.zeros_like(picture))[0].values, f2)
    only_two = EightBitStages(backbone, EightBitStages.measure(backbone, image, (4,)))
    assert not only_two.reads_images
    assert stages.reads_images


def test_the_ranges_are_the_largest_activations(backbone: Backbone, image: Tensor) -> None:
    ranges = EightBitStages.measure(backbone, image, (4, 8))
    with torch.no_grad():
        f4 = backbone.stage(backbone.stage(image, 2), 4)
        f8 = backbone.stage(f4, 8)
    assert ranges[4][-1] == ranges[8][0] == pytest.approx(float(f4.max()))
    assert ranges[8][-1] == pytest.approx(float(f8.max()))
    assert [len(values) for values in ranges.values()] == [5, 5]


def test_calls_do_not_depend_on_one_another(
    backbone: Backbone, stages: EightBitStages, image: Tensor
) -> None:
    with torch.no_grad():
        f2 = backbone.stage(image, 2)
        kept = f2.clone()
        first = stages(f2, 4)
        stages(f2[..., :16, :16], 4)
        assert torch.equal(stages(f2, 4), first)
        assert torch.equal(f2, kept)


def test_several_images_are_as_one_by_one(
    backbone: Backbone, stages: EightBitStages, image: Tensor
) -> None:
    with torch.no_grad():
        f2 = backbone.stage(torch.cat([image, image.flip(-1)]), 2)
        together = stages(f2, 4)
        for one, alone in zip(f2, together, strict=True):
            assert torch.equal(stages(one[None], 4)[0], alone)


def test_a_copy_from_another_process_gives_the_same(
    backbone: Backbone, stages: EightBitStages, image: Tensor
) -> None:
    f2 = backbone.stage(image, 2)
    wanted = stages(f2, 4)
    assert torch.equal(pickle.loads(pickle.dumps(stages))(f2, 4), wanted)
    assert copy.deepcopy(stages) is stages


def test_no_gradient_passes(backbone: Backbone, stages: EightBitStages, image: Tensor) -> None:
    f2 = backbone.stage(image, 2).detach().requires_grad_()
    assert not stages(f2, 4).requires_grad


def test_other_backbones_do_not_fit(backbone: Backbone) -> None:
    assert fits_eight_bits(backbone)
    assert not fits_eight_bits(build_backbone("resnet18", (2, 4, 8, 16), "frozen"))
    assert not fits_eight_bits(build_backbone("mobilenet_v2", (2, 4, 8, 16), "folded"))
    assert not fits_eight_bits(build_backbone("resnet50", (2, 4, 8, 16), "folded"))


def test_a_torch_without_the_operators_has_no_fast_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise AttributeError("qconv_prepack")

    monkeypatch.setattr(byte_convolution, "ByteConvolution", missing)
    assert not has_fast_int8.__wrapped__()


def test_a_processor_that_sums_wrongly_has_no_fast_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(byte_convolution.ByteConvolution):
        def add(self, x: Tensor, other: Tensor, other_scale: float) -> Tensor:
            return super().add(x, other, other_scale) // 2

    monkeypatch.setattr(byte_convolution, "ByteConvolution", Wrong)
    assert not has_fast_int8.__wrapped__()


def test_weights_near_the_limit_do_not_overflow() -> None:
    conv = nn.Conv2d(64, 4, 3, padding=1)
    with torch.no_grad():
        conv.weight.fill_(1.0)
        conv.bias.fill_(-300.0)  # type: ignore[union-attr]  # there is one
    x = torch.ones(1, 64, 6, 6).contiguous(memory_format=torch.channels_last)
    layer = byte_convolution.ByteConvolution(conv, 1 / 255, 1.0)
    found = layer.floats((x * 255).to(torch.uint8))
    torch.testing.assert_close(found, conv(x), atol=1e-2, rtol=0)


@pytest.mark.parametrize("zero", [0, 37])
def test_bytes_are_rounded_and_limited_in_any_layout(zero: int) -> None:
    x = 300 * torch.randn(2, 5, 7, 9, generator=torch.Generator().manual_seed(0))
    wanted = (x / 1.7 + zero).round().clamp(0, 255).to(torch.uint8)
    for layout in (torch.contiguous_format, torch.channels_last):
        assert torch.equal(to_bytes(x.contiguous(memory_format=layout), 1.7, zero), wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_at_least_0_becomes_the_same_bytes(dtype: torch.dtype) -> None:
    x = 300 * torch.rand(2, 5, 7, 9, generator=torch.Generator().manual_seed(0)).to(dtype)
    for layout in (torch.contiguous_format, torch.channels_last):
        given = x.contiguous(memory_format=layout)
        found = byte_convolution.rectified_to_bytes(given, 1.7)
        assert torch.equal(found, to_bytes(x, 1.7))
        assert found.is_contiguous(memory_format=torch.channels_last)


def test_products_of_bytes_are_near_products() -> None:
    generator = torch.Generator().manual_seed(3)
    rows, others = (
        torch.randn(90, 24, generator=generator),
        torch.randn(70, 24, generator=generator),
    )
    values, scale = byte_convolution.rows_to_bytes(rows)
    found = byte_convolution.byte_products(others).floats(values, scale)[0, :, :, 0].T
    wanted = rows @ others.T
    assert float((found - wanted).norm() / wanted.norm()) < 0.02


# With AVX-512, weights for maps of fewer than 64 cells have another layout than those for larger.
_CALLS = """
import torch
from torch import nn
from vostrack.models.byte_convolution import ByteConvolution

wide = ByteConvolution(nn.Conv2d(64, 320, 1), 1.0, 1.0)
square = ByteConvolution(nn.Conv2d(64, 32, 3, padding=1), 1.0, 1.0)
for again in (False, True):
    for side in (7, 8, 40):
        x = torch.zeros(1, 64, side, side, dtype=torch.uint8)
        x = x.contiguous(memory_format=torch.channels_last)
        wide.floats(x), square.floats(x)
    print("AGAIN", flush=True)
"""


def test_no_call_lays_out_its_weights_anew() -> None:
    said = subprocess.run(
        [sys.executable, "-c", _CALLS],
        env=os.environ | {"ONEDNN_VERBOSE": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    calls = [line for line in said.split("AGAIN")[1].splitlines() if ",exec," in line]
    assert sum(",convolution," in line for line in calls) == 6
    assert not [line for line in calls if ",reorder," in line]
