"""The dilated ResNet: its equality with the original, its field of view, its parts."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import torch
import torchvision
from torch import Tensor

from vostrack.errors import InputError
from vostrack.models import fcrn
from vostrack.models.fcrn import (
    Fcrn,
    FcrnConfig,
    build_classifier,
    build_fcrn,
    load_fcrn,
    save_fcrn,
)
from vostrack.models.normalization import FrozenBatchNorm2d


def original_features(network: Fcrn, image: Tensor) -> Tensor:
    """The last feature map of torchvision's undilated ResNet-50 with the network's weights."""
    resnet = torchvision.models.resnet50(weights=None, norm_layer=FrozenBatchNorm2d).double()
    resnet.load_state_dict(network.backbone.state_dict(), strict=False)
    resnet.eval()
    x = (image - network.mean) / network.std
    for name, _ in network.backbone.named_children():
        x = getattr(resnet, name)(x)
    return x


@pytest.mark.parametrize(("output_stride", "size"), [(8, (75, 50)), (16, (64, 64))])
def test_dilated_features_equal_the_original_at_its_cells(
    output_stride: Literal[8, 16], size: tuple[int, int]
) -> None:
    network = build_fcrn(FcrnConfig(50, output_stride), 2, "none").eval().double()
    torch.manual_seed(0)
    for module in network.backbone.modules():
        if isinstance(module, FrozenBatchNorm2d):  # otherwise the signal of random weights dies
            assert module.running_var is not None
            module.running_var.uniform_(0.5, 2)
    image = torch.rand(1, 3, *size, dtype=torch.float64)
    with torch.no_grad():
        dense = network.backbone((image - network.mean) / network.std)
        original = original_features(network, image)
    step = 32 // output_stride
    assert dense.shape[-2:] == tuple(-(-s // output_stride) for s in size)
    torch.testing.assert_close(dense[..., ::step, ::step], original, rtol=1e-9, atol=1e-9)
    assert original.std() > 1e-3


@pytest.mark.parametrize(
    ("output_stride", "kernel", "dilation", "expected"),
    [
        (16, 3, 6, 208),
        (8, 3, 6, 104),
        (8, 3, 12, 200),
        (8, 3, 18, 296),
        (8, 5, 6, 200),
        (8, 5, 12, 392),
        (8, 5, 18, 584),
        (8, 7, 6, 296),
        (8, 7, 12, 584),
    ],
)
def test_field_of_view_is_that_of_the_papers_tables(
    output_stride: Literal[8, 16],
    kernel: int,
    dilation: int,
    expected: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fcrn, "_FEATURES", 1)
    config = FcrnConfig(50, output_stride, kernel, dilation)
    assert config.field_of_view == expected
    # What the classifier sees, measured: the cells with a gradient from one output cell.
    classifier = build_classifier(config, 2)
    side = 2 * expected // output_stride + 1
    x = torch.zeros(1, 1, side, side, requires_grad=True)
    classifier(x)[0, 0, side // 2, side // 2].backward()
    assert x.grad is not None
    columns = x.grad[0, 0].nonzero()[:, 1]
    assert (int(columns.max() - columns.min()) + 1) * output_stride == expected


def test_two_layers_see_twice_as_far() -> None:
    config = FcrnConfig(50, kernel=3, dilation=12, hidden=512)
    assert config.field_of_view == 8 * (2 * 2 * 12 + 1)


def test_dropout_is_in_the_last_two_stages_and_only_while_training() -> None:
    plain = build_fcrn(FcrnConfig(50, 16), 3, "none", seed=1)
    dropping = build_fcrn(FcrnConfig(50, 16, dropout=(0.3, 0.5)), 3, "none", seed=1)
    image = torch.rand(1, 3, 48, 48)
    with torch.no_grad():
        assert torch.equal(plain.eval()(image), dropping.eval()(image))
        dropping.train()
        assert not torch.equal(dropping(image), dropping(image))
        early, other = (dropping.backbone[:6](image) for _ in range(2))
    assert torch.equal(early, other)


def test_saved_and_loaded_it_says_the_same(tmp_path: Path) -> None:
    config = FcrnConfig(50, 8, 3, 6, hidden=16, dropout=(0.1, 0.2))
    network = build_fcrn(config, 80, "none").eval()
    save_fcrn(network, tmp_path / "net.safetensors")
    loaded = load_fcrn(tmp_path / "net.safetensors")
    image = torch.rand(1, 3, 40, 56)
    with torch.no_grad():
        expected, actual = network(image), loaded(image)
    assert loaded.config == config
    assert expected.shape == (1, 80, 5, 7)
    torch.testing.assert_close(actual, expected)
    assert loaded.segment(image).shape == (1, 80, 40, 56)


def test_what_cannot_be_built_is_refused(tmp_path: Path) -> None:
    for wrong in ({"depth": 34}, {"output_stride": 4}, {"kernel": 4}, {"dilation": 0}):
        with pytest.raises(InputError):
            FcrnConfig(**wrong)  # type: ignore[arg-type]
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(InputError, match="expected FCRN weights"):
        load_fcrn(tmp_path / "other.pt")
