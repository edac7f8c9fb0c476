"""What the target model adapter lends: the features of the window that it looked at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from vostrack.models.shared_backbone import backbone_fingerprint
from vostrack.models.target_net import TargetNet
from vostrack.online_finetune.target.adapter import TargetModelAdapter, TargetModelConfig
from vostrack.online_finetune.target.finetune import TargetFinetuneConfig
from vostrack.online_finetune.target.window import Window, WindowConfig

CONFIG = TargetModelConfig(
    window=WindowConfig(pixels=64 * 64),
    finetune=TargetFinetuneConfig(steps=0),
    precision="fp32",
)


@pytest.fixture
def network(target_network: TargetNet) -> TargetNet:
    return target_network


def start(network: TargetNet, image: Tensor, labels: Tensor, **changes: Any) -> TargetModelAdapter:
    adapter = TargetModelAdapter(network, replace(CONFIG, **changes))
    adapter.start(image, labels)
    return adapter


@pytest.mark.parametrize("mirror", [False, True])
def test_what_is_lent_are_the_features_of_the_window(
    network: TargetNet, images: Tensor, labels: Tensor, mirror: bool
) -> None:
    labels[labels == 2] = 0
    close = WindowConfig(pixels=64 * 64, margin=0, smallest=32)
    adapter = start(network, images[0], labels, mirror=mirror, window=close)
    assert adapter.shared_features() is None
    adapter.scores(images[1])
    lent = adapter.shared_features()
    assert lent is not None
    assert lent.backbone == backbone_fingerprint(network)
    sides = (128, 96, 128, 96)
    left, top, right, bottom = (
        round(share * side) for share, side in zip(lent.box, sides, strict=True)
    )
    # The window of the object, which lies at columns 30 to 59 and rows 20 to 49.
    assert 0 < left < 30 < 60 < right < 128
    assert 0 < top < 20 < 50 < bottom < 96
    window = Window((left, top, right, bottom), lent.size)
    with torch.no_grad():
        levels = network.features(window.crop(images[1][None])).levels
    torch.testing.assert_close(lent.fine, levels[2])
    torch.testing.assert_close(lent.coarse, levels[3])
    adapter.commit((labels == 1)[None].float(), labels.byte())
    assert adapter.shared_features() is None
    adapter.scores(images[2])
    adapter.seek_start()
    assert adapter.shared_features() is None


def test_a_fitted_network_goes_by_the_name_of_the_one_it_was(
    network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    few = TargetFinetuneConfig(steps=2, learning_rate=1e-2, pixels=64 * 64, blocks=1)
    adapter = start(network, images[0], labels, finetune=few)
    assert backbone_fingerprint(adapter._fitted.network) != backbone_fingerprint(network)
    adapter.scores(images[1])
    lent = adapter.shared_features()
    assert lent is not None
    assert lent.backbone == backbone_fingerprint(network) == backbone_fingerprint(adapter.generic)
