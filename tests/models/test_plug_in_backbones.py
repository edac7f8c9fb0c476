"""A backbone of a plug-in is tried on a small image, and refused with its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vostrack.errors import InputError
from vostrack.models import plug_in_backbones
from vostrack.models.backbone_registry import BACKBONES, BackboneEntry
from vostrack.models.backbones import Backbone, build_backbone
from vostrack.models.normalization import FrozenBatchNorm2d
from vostrack.models.weights import initialise_target_net, load_target_net, save_target_net
from vostrack.models.weights_file import UndrawnWeights

Norm = Callable[[int], nn.Module]


@dataclass(frozen=True)
class ChainOptions:
    """Options of the chain."""

    width: int = 4
    """Channels."""


class Chain(Backbone):
    """A chain of convolutions whose stages are followed by ``bend``."""

    def __init__(self, width: int, strides: Any, norm: Norm = nn.Identity) -> None:
        layers = {}
        for stride in (2, 4, 8, 16):
            conv = nn.Conv2d(3 if stride == 2 else width, width, 3, 2, 1)
            layers[str(stride)] = nn.Sequential(conv, norm(width))
        super().__init__(nn.ModuleDict(layers), strides, [width] * len(strides))
        self.bend: Callable[[Tensor, int], Any] = lambda x, _stride: x

    def stage(self, x: Tensor, stride: int) -> Tensor:
        bent: Tensor = self.bend(self.stage_layers(stride)(x), stride)
        return bent

    def stage_layers(self, stride: int) -> nn.Module:
        layer: nn.Module = self.layers[str(stride)]  # type: ignore[index]
        return layer


def saved_with(tmp_path: Path, value: float) -> Path:
    network = initialise_target_net("chain", "none")
    nn.init.constant_(network.backbone.stage_layers(16)[0].bias, value)  # type: ignore[index]
    save_target_net(network, tmp_path / "target.safetensors")
    return tmp_path / "target.safetensors"


def fail(*_: object) -> Tensor:
    raise ValueError("boom in\nit")


BENT: dict[str, tuple[Callable[[Tensor, int], Any], str]] = {
    "nan": (lambda x, _: x * float("nan"), "gives NaN or infinite .* noise at stride 2; expected"),
    # Silent on zeros and on a constant image.
    "contrast": (lambda x, _: x / (x.std() < 1e-9), "NaN or infinite features of an image"),
    "type": (
        lambda x, stride: x.double() if stride == 8 else x,
        "feature map of torch.float64 at stride 8; expected torch.float32",
    ),
    "fails": (fail, r"' \(registered in this process\) failed: ValueError: boom in it; rep"),
    "channels": (lambda x, _: x[:, :1], r"failed: RuntimeError: Given groups=1"),
    "none": (lambda x, stride: x if stride < 8 else None, r"gives feature maps \[.*expected \["),
}


@pytest.fixture
def register() -> Iterator[Callable[..., None]]:
    def registered(bend: Any = None, norm: Norm = nn.Identity) -> None:
        def build(options: ChainOptions, strides: Any, _device: torch.device) -> Backbone:
            chain = Chain(options.width, strides, norm)
            chain.bend = bend or chain.bend
            return chain

        BACKBONES.register("chain", BackboneEntry(ChainOptions, build))

    yield registered
    BACKBONES.unregister("chain")


@pytest.mark.parametrize("case", BENT)
def test_an_unfit_backbone_is_refused(register: Callable[..., None], case: str) -> None:
    bend, words = BENT[case]
    register(bend)
    with pytest.raises(InputError, match=f"backbone: the plug-in 'chain.*{words}"):
        build_backbone("chain", (2, 4, 8))


def test_a_backbone_that_cannot_be_built_is_named(register: Callable[..., None]) -> None:
    register()
    with pytest.raises(InputError, match=r"'chain' .*cannot be built: \w+Error: .*negative"):
        build_backbone("chain", (2, 4, 8), options={"width": -3})


def test_values_are_judged_once_the_weights_are_loaded(
    register: Callable[..., None], tmp_path: Path
) -> None:
    def bend(x: Tensor, _stride: int) -> Tensor:
        broken = UndrawnWeights.active() or float(x.max()) > 1e3
        return x * float("nan") if broken else x

    register(bend)
    assert not load_target_net(saved_with(tmp_path, 0.5)).training
    path = saved_with(tmp_path, 1e4)
    with pytest.raises(InputError, match=r"NaN or infinite features of .* at stride 16; expected"):
        load_target_net(path)


def test_batch_normalisation_that_changes_is_warned_of(
    register: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    plug_in_backbones._warn_once.cache_clear()
    register(norm=nn.BatchNorm2d)
    built = build_backbone("chain", (2, 4, 8))
    assert "changes its statistics in training (layers.2.1); a video" in caplog.text
    assert built.training
    norm = built.stage_layers(2)[1]  # type: ignore[index]
    assert int(norm.num_batches_tracked) == 0


def test_frozen_batch_normalisation_is_not(
    register: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    plug_in_backbones._warn_once.cache_clear()
    register(norm=FrozenBatchNorm2d)
    build_backbone("chain", (2, 4, 8))
    assert not caplog.text
