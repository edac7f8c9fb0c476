"""Presets are wired as they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vostrack.build import PRESETS, TrackerOptions, build_tracker, resolve_preset
from vostrack.errors import InputError
from vostrack.online_finetune.full_network import FullNetworkAdapter
from vostrack.refine.craf import Craf


def test_the_papers_numbers() -> None:
    """Cheng et al. (2017), sections 3.3 and 4.2."""
    paper = PRESETS["paper"]
    assert paper.network.backbone == "resnet101"
    assert paper.network.strides == (8, 16, 32)
    assert paper.network.head == "fusion"
    assert paper.adapter.objects.steps == 30_000
    assert paper.adapter.objects.halve_every == 10_000
    assert not paper.adapter.share_single
    assert paper.tracker.max_size == 0
    assert paper.craf is not None
    parameters = paper.craf
    assert (parameters.alpha, parameters.beta, parameters.gamma, parameters.delta) == (
        0.2,
        0.9,
        0.1,
        0.4,
    )


@pytest.mark.parametrize("base", ["fast", "paper"])
def test_the_rows_of_the_ablation(base: str) -> None:
    full = PRESETS[base]
    assert PRESETS[f"{base}-no-craf"].craf is None
    assert PRESETS[f"{base}-no-craf"].adapter == full.adapter
    row = PRESETS[f"{base}-no-craf-no-ft"]
    assert row.craf is None
    assert row.adapter.foreground.steps == 0
    assert row.adapter.objects == full.adapter.objects
    assert PRESETS[f"{base}-per-video"].adapter.per_video
    assert PRESETS[f"{base}-per-video"].craf == full.craf


def test_options_change_what_they_name_and_nothing_else() -> None:
    assert resolve_preset("fast") == PRESETS["fast"]
    changed = resolve_preset("fast", TrackerOptions(object_steps=7, max_size=320))
    assert changed.adapter.objects.steps == 7
    assert changed.adapter.foreground == PRESETS["fast"].adapter.foreground
    assert changed.tracker.max_size == 320
    assert changed.craf == PRESETS["fast"].craf


@pytest.mark.parametrize("preset", ["paper", "fast"])
def test_a_preset_runs(preset: str) -> None:
    """The whole of it, on frames of a few pixels and for a step each."""
    frames = np.full((2, 64, 80, 3), 80, np.uint8)
    frames[:, 20:50, 20:60] = 200
    mask = np.zeros((64, 80), np.uint8)
    mask[20:50, 20:60] = 5
    mask[20:35, 20:60] = 2
    options = TrackerOptions(foreground_steps=1, object_steps=1)
    reports: list[Any] = []
    tracker = build_tracker(
        preset,
        device="cpu",
        weights="none",
        options=options,
        on_progress=lambda *report: reports.append(report),
    )
    assert isinstance(tracker.adapter, FullNetworkAdapter)
    assert isinstance(tracker.temporal_filter, Craf)
    tracker.start(frames[0], mask)
    result = tracker.step(frames[1])
    assert result.ids == (2, 5)
    assert result.scores.shape == (2, 64, 80)
    assert np.isfinite(result.scores).all()
    assert [r[0] for r in reports] == ["foreground", "object 1 of 2", "object 2 of 2"]


def test_unknown_names() -> None:
    with pytest.raises(InputError, match="paper"):
        build_tracker("slow")
    with pytest.raises(InputError, match="components"):
        build_tracker("fast", options=TrackerOptions(proposer="none"))
