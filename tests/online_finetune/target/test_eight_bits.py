"""When the target models compute in 8 bits, and that resuming goes on in the same way."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from vostrack.compute import precision as precisions
from vostrack.models.byte_convolution import has_fast_int8
from vostrack.models.byte_map import as_floats
from vostrack.models.target_net import TargetNet, TargetNetConfig
from vostrack.models.target_net_builder import build_target_net
from vostrack.online_finetune.target import eight_bit_stages
from vostrack.online_finetune.target.adapter import TargetModelAdapter, TargetModelConfig
from vostrack.online_finetune.target.finetune import TargetFinetuneConfig
from vostrack.online_finetune.target.fixed_part import FixedPart
from vostrack.online_finetune.target.window import WindowConfig

CONFIG = TargetModelConfig(
    window=WindowConfig(pixels=64 * 64), finetune=TargetFinetuneConfig(steps=0)
)


@pytest.fixture(scope="module", params=["none", "deeplab"])
def network(request: pytest.FixtureRequest) -> TargetNet:
    torch.manual_seed(0)
    config = TargetNetConfig(key=8, value=4, embedding=8, widths=(8, 8, 8, 8))
    return build_target_net(replace(config, semantic=request.param))


@pytest.fixture(scope="module")
def frames() -> tuple[list[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = []
    for t in range(3):
        image = 0.4 + 0.1 * torch.rand(3, 64, 80, generator=generator)
        image[0, 20:44, 20 + 4 * t : 44 + 4 * t] += 0.4
        images.append(image)
    labels = torch.zeros(64, 80, dtype=torch.int64)
    labels[20:44, 20:44] = 1
    return images, labels


@pytest.fixture(params=[False, True], ids=["no bfloat16", "bfloat16"])
def bf16_units(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(precisions, "has_fast_bf16", lambda _: request.param)
    return bool(request.param)


needs_int8 = pytest.mark.skipif(not has_fast_int8(), reason="no fast 8-bit convolutions here")


@needs_int8
@pytest.mark.usefixtures("bf16_units")
def test_only_auto_computes_in_8_bits(
    network: TargetNet, frames: tuple[list[Tensor], Tensor]
) -> None:
    images, labels = frames
    scores = {}
    # Scores of an untrained network are near one half, where rounding decides what is a piece.
    config = replace(CONFIG, continuity=None)
    for precision in ("auto", "fp32"):
        adapter = TargetModelAdapter(network, replace(config, precision=precision))
        adapter.start(images[0], labels)
        scores[precision] = adapter.scores(images[1])[0]
        assert bool(adapter.state_dict()["ranges"]) == (precision == "auto")
        assert (0 in adapter.state_dict()["ranges"]) == (
            precision == "auto" and network.semantic is not None
        )
    assert network.eight_bit is None
    assert network.eight_bit_semantic is None
    assert not torch.equal(scores["auto"], scores["fp32"])
    torch.testing.assert_close(scores["auto"], scores["fp32"], atol=0.1, rtol=0)


@pytest.mark.usefixtures("bf16_units")
def test_auto_uses_8_bits_on_any_cpu_and_on_no_other_device(
    network: TargetNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(eight_bit_stages, "has_fast_int8", lambda: True)
    assert eight_bit_stages.uses_eight_bits(network, cpu, "auto")
    assert not eight_bit_stages.uses_eight_bits(network, cpu, "fp32")
    assert not eight_bit_stages.uses_eight_bits(network, cpu, "bf16")
    assert not eight_bit_stages.uses_eight_bits(network, torch.device("meta"), "auto")


@needs_int8
def test_units_for_bfloat16_change_nothing_beside_8_bits(
    network: TargetNet,
    frames: tuple[list[Tensor], Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images, labels = frames
    scores = []
    for units in (False, True):
        monkeypatch.setattr(precisions, "has_fast_bf16", lambda _, found=units: found)
        adapter = TargetModelAdapter(network, CONFIG)
        adapter.start(images[0], labels)
        scores.append(adapter.scores(images[1])[0])
    assert torch.equal(*scores)


@needs_int8
@pytest.mark.usefixtures("bf16_units")
@pytest.mark.parametrize("steps", [0, 1])
def test_a_loaded_state_goes_on_in_8_bits(
    steps: int, network: TargetNet, frames: tuple[list[Tensor], Tensor]
) -> None:
    images, labels = frames
    config = replace(CONFIG, finetune=TargetFinetuneConfig(steps=steps, pixels=64 * 64))
    first, second = (TargetModelAdapter(network, config) for _ in range(2))
    first.start(images[0], labels)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.scores(images[1])[0], second.scores(images[1])[0])


@needs_int8
def test_altered_frames_are_kept_as_lateral_layers_see_them(
    network: TargetNet, frames: tuple[list[Tensor], Tensor]
) -> None:
    images, _ = frames
    window = images[0][None]
    ranges = eight_bit_stages.measured(network, window, eight_bit_stages.WHOLE)
    seen = eight_bit_stages.with_eight_bits(network, ranges)
    kept = FixedPart(seen, None, "fp32")(images[1][None])
    with torch.no_grad():
        features = seen.features(images[1][None])
        described = seen.described(kept.levels, kept.entered)
        layers = seen.decoder.outline_laterals()
        for layer, level, found in zip(layers, features.levels, described.levels, strict=False):
            torch.testing.assert_close(found, layer(as_floats(level)))
    assert described.lateral
    assert not features.lateral
    torch.testing.assert_close(described.embedding, features.embedding)
