"""A tracker that slid from an object to something else finds the object when it is elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vostrack.models.target_net import TargetNet
from vostrack.models.weights import load_target_net
from vostrack.online_finetune.target import doubt, frame_steps
from vostrack.online_finetune.target.adapter import TargetModelAdapter, TargetModelConfig
from vostrack.online_finetune.target.doubt import without_later
from vostrack.online_finetune.target.finetune import TargetFinetuneConfig
from vostrack.online_finetune.target.frame_steps import begin_objects
from vostrack.online_finetune.target.memory import TrackedObjects
from vostrack.online_finetune.target.window import WindowConfig

RED, VIOLET = (1.0, 0.1, 0.1), (0.4, 0.05, 0.85)
GIVEN, GHOST, AWAY = (56, 8), (16, 20), (92, 60)


@pytest.fixture(scope="module")
def shipped() -> TargetNet:
    return load_target_net(None)


def scene(places: Mapping[tuple[int, int], tuple[float, float, float]]) -> Tensor:
    """A square at each corner (x, y) on gray noise, a red one with stripes: image (3, 96, 128)."""
    image = np.random.default_rng(0).uniform(0.3, 0.5, (96, 128, 3)).astype(np.float32)
    stripes = (0.3 + 0.7 * (np.arange(32) // 5 % 2))[:, None]
    for (x, y), colour in places.items():
        image[y : y + 32, x : x + 32] = (stripes if colour == RED else 1) * np.array(colour)
    return torch.from_numpy(image).permute(2, 0, 1)


def square(x: int, y: int) -> Tensor:
    mask = torch.zeros(96, 128, dtype=torch.int64)
    mask[y : y + 32, x : x + 32] = 1
    return mask


def slid(network: TargetNet, **changes: Any) -> TargetModelAdapter:
    """Return an adapter that took the violet square beside its red one for it, for 8 frames."""
    config = TargetModelConfig(
        window=WindowConfig(pixels=128 * 128),
        finetune=TargetFinetuneConfig(steps=0),
        precision="fp32",
        **changes,
    )
    adapter = TargetModelAdapter(network, config)
    adapter.start(scene({GHOST: VIOLET, GIVEN: RED}), square(*GIVEN))
    for _ in range(8):
        adapter.scores(scene({GHOST: VIOLET}))
        adapter._presence = torch.ones(1)  # it is sure of what it follows, and learns that
        adapter.commit(square(*GHOST)[None].float(), square(*GHOST).byte())
    return adapter


def frames_until_found(adapter: TargetModelAdapter, image: Tensor) -> int | None:
    """Go on with the violet square; return after how many frames the red one was found, of 6."""
    for count in range(1, 7):
        scores = adapter.scores(image)[0]
        if overlap(scores[0] > 0.5, AWAY) > 0.8:
            assert overlap(scores[0] > 0.5, GHOST) == 0
            presence = adapter.presence()
            assert presence is not None
            assert presence > 0.5
            return count
        adapter._presence = torch.ones(1)
        adapter.commit(square(*GHOST)[None].float(), square(*GHOST).byte())
    return None


def overlap(mask: Tensor, corner: tuple[int, int]) -> float:
    truth = square(*corner) == 1
    return float((mask & truth).sum() / (mask | truth).sum())


def test_an_object_that_returns_elsewhere_is_found_though_something_else_is_followed(
    shipped: TargetNet,
) -> None:
    image = scene({GHOST: VIOLET, AWAY: RED})
    assert frames_until_found(slid(shipped), image) == 1  # frame 9, and every third is compared
    assert frames_until_found(slid(shipped, doubt_every=0), image) is None
    assert frames_until_found(slid(shipped), scene({GHOST: VIOLET})) is None


def test_an_object_that_looks_like_itself_is_not_searched(
    shipped: TargetNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = slid(shipped)
    adapter.seek_start()
    monkeypatch.setattr("vostrack.online_finetune.target.doubt.find_objects", pytest.fail)
    mask = square(*GIVEN)
    for _ in range(6):
        scores = adapter.scores(scene({GHOST: VIOLET, GIVEN: RED}))[0]
        assert overlap(scores[0] > 0.5, GIVEN) > 0.8
        adapter.commit(mask[None].float(), mask.byte())


def test_only_objects_in_doubt_are_searched(
    target_network: TargetNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, masks = scene({GHOST: VIOLET, GIVEN: RED}), [square(*GIVEN), square(*GHOST)]
    config = TargetModelConfig(window=WindowConfig(pixels=128 * 128), precision="fp32")
    now = begin_objects(target_network, image, torch.stack(masks).float(), config)
    original = frame_steps.find_objects
    searched: list[Tensor] = []

    def spy(network: TargetNet, image: Tensor, lost: Any, *rest: Any, **named: Any) -> Any:
        searched.append(lost.first.mask)
        return original(network, image, lost, *rest, **named)

    monkeypatch.setattr(doubt, "find_objects", spy)
    monkeypatch.setattr(doubt, "spread_scores", lambda *_: 0.9 * square(*AWAY)[None])
    likeness = torch.tensor([-0.5, 0.5])[None, :, None].expand(2, 2, 1)
    monkeypatch.setattr(doubt, "region_likeness", lambda *_, **__: likeness)
    # An untrained network says a presence of one half.
    scores = torch.stack(masks).float()
    found = doubt.find_elsewhere(target_network, image, now, scores, [1], config)
    assert found is not None
    (mask,) = searched
    assert torch.equal(mask, now.first.mask[1:])
    assert (found.slots, found.presence.shape) == ((1,), (1,))
    assert torch.equal(found.scores[0], scores[0])
    assert torch.equal(found.scores[1], 0.9 * square(*AWAY))


def test_what_was_learned_of_the_wrong_place_is_forgotten(target_network: TargetNet) -> None:
    image, masks = scene({GHOST: VIOLET, GIVEN: RED}), [square(*GIVEN), square(*GHOST)]
    now = begin_objects(target_network, image, torch.stack(masks).float(), TargetModelConfig())
    other = begin_objects(
        target_network, scene({AWAY: RED}), torch.stack(masks[::-1]).float(), TargetModelConfig()
    )
    learned = replace(now, kept=[other.first], later=other.base)
    assert without_later(learned, []) is learned
    rest = without_later(learned, [1])
    assert isinstance(rest, TrackedObjects)
    assert rest.kept == []
    assert rest.later is not None
    assert rest.later.gram[1].equal(now.base.gram[1])
    assert rest.later.moment[1].equal(now.base.moment[1])
    assert rest.later.gram[0].equal(other.base.gram[0])
