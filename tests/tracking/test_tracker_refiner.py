"""The refiner runs before the memory update or after it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from vostrack.refine.craf import Craf
from vostrack.tracking.tracker import Tracker, TrackerConfig

Clip = tuple[Any, Any]


@pytest.mark.parametrize("learn_refined", [True, False])
def test_refined_scores_are_learned_or_only_returned(
    adapter: Any, clip: Clip, learn_refined: bool
) -> None:
    frames, _ = clip
    raw: list[Tensor] = []
    learned: list[tuple[Tensor, Tensor]] = []
    filtered: list[Any] = []

    class Filter(Craf):
        def commit(self, labels: Any) -> None:
            filtered.append(labels)
            super().commit(labels)

    scores = adapter.scores

    def recording(image: Tensor) -> tuple[Tensor, Tensor | None]:
        raw.append(scores(image)[0])
        return raw[-1], scores(image)[1]

    adapter.scores = recording
    adapter.commit = lambda scores, labels: learned.append((scores, labels))
    config = TrackerConfig(gate="none", learn_refined=learn_refined)

    def everything(image: Tensor, scores: Tensor) -> Tensor:
        return torch.ones_like(scores)

    tracker = Tracker(adapter, refiner=everything, config=config)
    tracker.start(frames[0], clip[1][0])
    result = tracker.step(frames[1])
    assert (result.labels > 0).all()
    assert (result.scores == 1).all()
    kept, labels = learned[0]
    assert torch.equal(kept, torch.ones_like(kept) if learn_refined else raw[0])
    assert bool((labels > 0).all()) == learn_refined
    assert bool((tracker.state()["last_slots"] > 0).all()) == learn_refined
    assert "refiner" in result.timings
    # The filter, too, sees the network's own scores where refining only serves the output.
    tracker = Tracker(adapter, refiner=everything, temporal_filter=Filter(), config=config)
    tracker.start(frames[0], clip[1][0])
    tracker.step(frames[1])
    assert bool((filtered[-1] > 0).all()) == learn_refined
