"""Clips from seeds: what is in them, and what their tags promise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vostrack.datasets.composites import (
    TAGS,
    VALIDATION_KINDS,
    CompositeClip,
    CompositeConfig,
    CompositeSources,
    config_of_kind,
    draw_clip,
    list_clips,
    validation_clips,
)
from vostrack.datasets.composites.draw_plan import draw_plan
from vostrack.errors import InputError

SMALL = CompositeConfig(size=(96, 128), frames=(3, 6), h264=0.1)
PLAIN = replace(
    SMALL,
    clutter=(0, 0),
    look_alike=0,
    crossing=0,
    exit=0,
    occluder=0,
    edge=0,
    growth=0,
    parts=0,
    bending=0,
    objects=(1, 1),
)


def _areas(clip: CompositeClip) -> Any:
    """(T, N) pixels."""
    return np.stack([np.bincount(f.ravel(), minlength=clip.objects + 1)[1:] for f in clip.labels])


def test_the_same_seed_gives_the_same_bytes(sources: CompositeSources) -> None:
    for seed in range(4):
        first, second = draw_clip(sources, SMALL, seed), draw_clip(sources, SMALL, seed)
        assert first.images.tobytes() == second.images.tobytes()
        assert first.labels.tobytes() == second.labels.tobytes()
        assert first.tags == second.tags
    seeds = {draw_clip(sources, SMALL, seed).images.tobytes() for seed in range(6)}
    assert len(seeds) == 6


def test_clips_are_what_their_type_says(sources: CompositeSources) -> None:
    counts = set()
    for seed in range(16):
        clip = draw_clip(sources, SMALL, seed)
        frames = len(clip.images)
        assert clip.images.shape == (frames, 96, 128, 3)
        assert clip.labels.shape == (frames, 96, 128)
        assert clip.images.dtype == clip.labels.dtype == np.uint8
        assert 3 <= frames <= 6
        assert 1 <= clip.objects <= 6
        assert set(np.unique(clip.labels[0])) - {0} == set(range(1, clip.objects + 1))
        assert clip.labels.max() == clip.objects
        assert clip.tags <= set(TAGS)
        assert clip.seed == seed
        counts.add(clip.objects)
    assert len(counts) >= 4


def test_objects_have_the_size_that_is_asked_for(sources: CompositeSources) -> None:
    for area in ((0.02, 0.03), (0.2, 0.3)):
        config = replace(PLAIN, area=area)
        for seed in range(8):
            clip = draw_clip(sources, config, seed)
            share = _areas(clip)[0, 0] / clip.labels[0].size
            assert 0.9 * area[0] < share < 1.1 * area[1]


def test_an_exit_leaves_and_comes_back(sources: CompositeSources) -> None:
    config = replace(PLAIN, exit=1.0, area=(0.02, 0.1), bending=1.0, parts=0.3)
    for seed in range(15):
        clip = draw_clip(sources, config, seed)
        areas = _areas(clip)[:, 0]
        assert areas[0] > 0
        assert areas[-1] > 0
        assert (areas == 0).any()
        assert "exit" in clip.tags
    assert not any("exit" in draw_clip(sources, PLAIN, seed).tags for seed in range(8))


def test_growth_is_the_objects_own(sources: CompositeSources) -> None:
    config = replace(
        PLAIN,
        size=(192, 256),
        growth=1.0,
        area=(0.011, 0.011),
        travel=(0.01, 0.01),
        anchored=0,
        feather=(0, 0),
        motion_blur=0,
    )
    factors = []
    for seed in range(12):
        areas = _areas(draw_clip(sources, config, seed))[:, 0]
        factors.append(float(np.sqrt(areas[-1] / areas[0])))
    grown = [factor for factor in factors if factor > 1]
    assert len(grown) >= 5
    assert all(1.9 < factor < 8.5 for factor in grown)
    assert all(1 / 9 < factor < 0.55 for factor in factors if factor < 1)


@pytest.mark.parametrize("kind", VALIDATION_KINDS)
def test_kinds_keep_their_promise(sources: CompositeSources, kind: str) -> None:
    config = config_of_kind(kind, SMALL)
    for seed in range(5):
        clip = draw_clip(sources, config, seed)
        assert clip.tags.issuperset(VALIDATION_KINDS[kind])
        if kind == "small":
            assert _areas(clip)[0].min() < 0.01 * clip.labels[0].size
        if kind == "look-alikes":
            assert clip.objects >= 2


@pytest.mark.parametrize("resembling", [0.0, 1.0])
def test_look_alikes_are_two_specimens(sources: CompositeSources, resembling: float) -> None:
    config = replace(PLAIN, look_alike=1.0, objects=(2, 3), harmony=0, resembling=resembling)
    for seed in range(20):
        plan = draw_plan(sources, config, np.random.default_rng(seed))
        pair = [layer for layer in plan.layers if layer.group]
        assert len({layer.id for layer in pair}) == len(pair) == 2
        first, second = sorted(pair, key=lambda layer: layer.id)
        alike = sources.look_alikes(first.source) if resembling else [first.source]
        assert second.source in alike
        assert abs(first.colour.hue - second.colour.hue) < 0.6
        assert 0.8 < first.colour.gain / second.colour.gain < 1.25


def test_crossing_objects_touch(sources: CompositeSources) -> None:
    config = replace(PLAIN, crossing=1.0, objects=(2, 2), area=(0.01, 0.02), frames=(8, 8))
    touching = [seed for seed in range(12) if "crossing" in draw_clip(sources, config, seed).tags]
    apart = replace(config, crossing=0, travel=(0.01, 0.01), anchored=0, shadow=0)
    meeting = [seed for seed in range(12) if "crossing" in draw_clip(sources, apart, seed).tags]
    assert len(touching) >= 10
    assert len(meeting) <= 2


def test_hidden_objects_get_no_mask(sources: CompositeSources) -> None:
    crowded = replace(SMALL, objects=(6, 6), area=(0.1, 0.3), frames=(2, 2))
    tiny = replace(PLAIN, objects=(4, 4), area=(0.002, 0.008), least_visible=0.004)
    for config in (crowded, tiny):
        counts = set()
        for seed in range(8):
            clip = draw_clip(sources, config, seed)
            assert _areas(clip)[0].min() >= config.least_visible * clip.labels[0].size
            counts.add(clip.objects)
        assert min(counts) < config.objects[1]


def test_ids_say_nothing_of_depth(sources: CompositeSources) -> None:
    config = replace(PLAIN, objects=(4, 4))
    orders = set()
    for seed in range(10):
        plan = draw_plan(sources, config, np.random.default_rng(seed))
        orders.add(tuple(layer.id for layer in plan.layers))
        assert sorted(layer.id for layer in plan.layers) == [1, 2, 3, 4]
    assert len(orders) >= 5


def test_one_frame_is_a_clip(sources: CompositeSources) -> None:
    config = replace(SMALL, frames=(1, 1), exit=1.0, occluder=1.0, moving_background=1.0)
    assert draw_clip(sources, config, 0).images.shape == (1, 96, 128, 3)


def test_impossible_demands_are_refused(sources: CompositeSources) -> None:
    config = replace(PLAIN, demanded=("look-alike",), frames=(1, 1))
    with pytest.raises(InputError, match="lacked look-alike; raise"):
        draw_clip(sources, config, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": (95, 128)}, "size: expected even sides"),
        ({"size": (30, 128)}, "size: expected even sides"),
        ({"frames": (5, 3)}, r"frames: expected 1 <= lowest <= highest .* got \(5, 3\)"),
        ({"objects": (0, 3)}, "objects: expected 1"),
        ({"area": (0.0, 0.5)}, "area: expected"),
        ({"exit": 1.5}, "exit: expected 0 .. 1, got 1.5"),
        ({"smoke": float("nan")}, "smoke: expected 0 .. 1"),
        ({"largest_growth": 0.5}, "largest_growth: expected at least 1, got 0.5"),
        ({"demanded": ("fog",)}, "demanded: expected tags of .* got 'fog'"),
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        CompositeConfig(**changes)


def test_a_longer_list_begins_with_the_same_clips() -> None:
    short = list_clips(("smoke", "small"), 3, SMALL, 7)
    long = list_clips(("smoke", "small"), 6, SMALL, 7)
    assert long[:3] == short
    assert [clip.name for clip in long] == [
        "smoke-00",
        "small-00",
        "smoke-01",
        "small-01",
        "smoke-02",
        "small-02",
    ]
    assert len({clip.seed for clip in long}) == 6
    assert list_clips(("smoke",), 1, SMALL, 8)[0].seed != short[0].seed
    with pytest.raises(InputError, match=r"kind: expected one of mixed, .* got 'fog'"):
        list_clips(("fog",), 1, SMALL, 0)


def test_the_validation_set_has_five_clips_of_each_kind() -> None:
    listed = validation_clips()
    assert len(listed) == 30
    for kind in VALIDATION_KINDS:
        assert sum(clip.kind == kind for clip in listed) == 5
    assert {clip.config.size for clip in listed} == {(480, 854)}
    assert {clip.config.frames for clip in listed} == {(10, 16)}
