"""An adapter of a small network, and a tracker's calls of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vostrack.models.target_net import TargetNet
from vostrack.online_finetune.target.adapter import TargetModelAdapter, TargetModelConfig
from vostrack.online_finetune.target.finetune import TargetFinetuneConfig
from vostrack.online_finetune.target.window import WindowConfig

NONE = TargetFinetuneConfig(steps=0)


CONFIG = TargetModelConfig(
    window=WindowConfig(pixels=64 * 64), finetune=NONE, remember_every=2, precision="fp32"
)


def truth(labels: Tensor) -> Tensor:
    return torch.stack([(labels == k).float() for k in (1, 2)])


def start(network: TargetNet, image: Tensor, labels: Tensor, **changes: Any) -> TargetModelAdapter:
    adapter = TargetModelAdapter(network, replace(CONFIG, **changes))
    adapter.start(image, labels)
    return adapter


def follow(adapter: TargetModelAdapter, images: Tensor, labels: Tensor) -> list[Tensor]:
    """Step through the images as a tracker does, the first labels taken for the result."""
    found = []
    for image in images:
        scores, foreground = adapter.scores(image)
        assert foreground is not None
        torch.testing.assert_close(foreground, torch.maximum(scores[0], scores[1]))
        found.append(scores)
        adapter.commit(0.7123 * truth(labels), labels.byte())
    return found


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
