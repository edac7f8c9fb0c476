from __future__ import annotations

import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vostrack.arrays import BoolArray, UInt8Array
from vostrack.datasets.synthetic import (
    DrawnScene,
    SceneRenderer,
    SyntheticScene,
    Texture,
    draw_scene,
    render_clip,
)
from vostrack.errors import InputError
from vostrack.masks import read_first_mask, read_masks_json

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SMALL = SyntheticScene(size=(96, 128), frames=9, objects=2, seed=3)
COLOURS = ((200.0, 30.0, 40.0), (20.0, 210.0, 60.0), (30.0, 40.0, 220.0))


def _flat(scene: SyntheticScene) -> DrawnScene:
    """The same scene with every surface in one exact colour, the background black."""
    drawn = draw_scene(replace(scene, illumination=0, noise=0))
    black = Texture("flat", ((0.0, 0.0, 0.0),) * 2)
    objects = tuple(
        replace(o, texture=Texture("flat", (colour, colour)))
        for o, colour in zip(drawn.objects, COLOURS, strict=False)
    )
    return replace(drawn, objects=objects, background=(black, black))


def test_shapes_and_kinds() -> None:
    frames, labels = render_clip(SMALL)
    assert frames.shape == (9, 96, 128, 3)
    assert labels.shape == (9, 96, 128)
    assert frames.dtype == labels.dtype == np.uint8
    assert len(SceneRenderer(draw_scene(SMALL))) == 9


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, second = render_clip(SMALL), render_clip(SMALL)
    assert first[0].tobytes() == second[0].tobytes()
    assert first[1].tobytes() == second[1].tobytes()
    other = render_clip(replace(SMALL, seed=4))
    assert (first[1] != other[1]).any()


def test_a_drawn_scene_replays_in_any_order() -> None:
    drawn = draw_scene(SMALL)
    frames, labels = render_clip(drawn)
    renderer = SceneRenderer(drawn)
    for index in (7, 0, 3, 7):
        frame, label = renderer.render(index)
        np.testing.assert_array_equal(frame, frames[index])
        np.testing.assert_array_equal(label, labels[index])


def test_other_processes_draw_the_same_scene() -> None:
    code = f"from vostrack.datasets.synthetic import *; print(draw_scene({SMALL!r}))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=EXAMPLES.parent,
    )
    assert run.stdout.strip() == str(draw_scene(SMALL))


@pytest.mark.parametrize("seed", range(4))
def test_truth_agrees_with_what_is_painted(seed: int) -> None:
    scene = SyntheticScene(size=(96, 128), frames=7, objects=3, seed=seed, object_size=0.25)
    frames, labels = render_clip(_flat(scene))
    painted = np.array([(0, 0, 0), *COLOURS])
    distance = np.abs(frames[..., None, :].astype(np.float64) - painted).sum(axis=-1)
    # Where one colour is there alone, the truth must say so; that is everywhere but on seams.
    pure = distance.min(axis=-1) <= 3
    np.testing.assert_array_equal(labels[pure], distance.argmin(axis=-1)[pure])
    seam = np.stack([cv2.dilate(_edges(label), np.ones((3, 3), np.uint8)) for label in labels])
    # Slivers of less than half a pixel, as at the frame's border, leave no mark in the labels.
    assert pure[seam == 0].mean() > 0.999
    # On a seam of the first object with the background, the label is what covers most of it.
    share = frames[..., :1] / COLOURS[0][0]
    alone = (np.abs(frames - share * COLOURS[0]) <= 2).all(axis=-1)
    alone &= np.abs(share[..., 0] - 0.5) > 0.05
    np.testing.assert_array_equal(labels[alone] == 1, share[alone, 0] > 0.5)
    assert (alone & ~pure).sum() > 100


def _edges(label: UInt8Array) -> UInt8Array:
    edges = np.zeros(label.shape, np.uint8)
    edges[1:] |= label[1:] != label[:-1]
    edges[:-1] |= label[1:] != label[:-1]
    edges[:, 1:] |= label[:, 1:] != label[:, :-1]
    edges[:, :-1] |= label[:, 1:] != label[:, :-1]
    return edges


def _grown(mask: BoolArray) -> BoolArray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0


def _alone(drawn: DrawnScene, slot: int) -> BoolArray:
    """Where an object would be seen if it were the only one."""
    only = replace(drawn, objects=(drawn.objects[slot - 1],), noise=0)
    return np.stack([label == 1 for _, label in SceneRenderer(only)])


@pytest.mark.parametrize("seed", range(5))
def test_objects_start_apart_cross_and_part_again(seed: int) -> None:
    drawn = draw_scene(replace(SMALL, frames=15, seed=seed))
    _, labels = render_clip(drawn)
    far, near = _alone(drawn, 1), _alone(drawn, 2)
    hidden = (far & near).sum(axis=(1, 2)) / far.sum(axis=(1, 2))
    assert hidden[0] == hidden[-1] == 0
    assert hidden.max() > 0.25
    # Depth: what both claim belongs to the later one, and it loses nothing.
    np.testing.assert_array_equal(labels[near], 2)
    # Where three meet, less than half of a pixel can be the largest share; only there.
    for label, one, other in zip(labels, near, far, strict=True):
        meeting = _grown(one) & _grown(other)
        np.testing.assert_array_equal((label == 2)[~meeting], one[~meeting])
        np.testing.assert_array_equal((label == 1)[~meeting], other[~meeting])
        assert not ((label == 2) & ~_grown(one)).any()


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1),
    objects=st.integers(1, 8),
    size=st.tuples(st.integers(32, 70), st.integers(32, 70)),
)
def test_every_scene_begins_with_all_its_objects(
    seed: int, objects: int, size: tuple[int, int]
) -> None:
    scene = SyntheticScene(size=size, frames=3, objects=objects, seed=seed, noise=0)
    drawn = draw_scene(scene)
    label = SceneRenderer(drawn).render(0)[1]
    for slot in range(1, objects + 1):
        whole = np.count_nonzero(_alone(drawn, slot)[0])
        assert np.count_nonzero(label == slot) >= 0.5 * whole > 0


@pytest.mark.parametrize("seed", range(6))
def test_a_crowd_starts_nearly_unhidden(seed: int) -> None:
    drawn = draw_scene(SyntheticScene(size=(48, 48), frames=3, objects=8, seed=seed, noise=0))
    label = SceneRenderer(drawn).render(0)[1]
    for slot in range(1, 9):
        assert np.count_nonzero(label == slot) >= 0.75 * np.count_nonzero(_alone(drawn, slot)[0])


@pytest.mark.parametrize("setting", ["deformation", "illumination", "noise", "object_size"])
def test_every_setting_has_its_effect(setting: str) -> None:
    low, high = (
        render_clip(replace(SMALL, **cast("dict[str, Any]", {setting: value})))
        for value in (0.05, 0.25)
    )
    assert (low[0] != high[0]).any()
    shapes = setting in ("deformation", "object_size")
    assert (low[1] != high[1]).any() == shapes


def test_brightness_changes_by_the_share_asked_for() -> None:
    dark, light = (_flat(replace(SMALL, frames=30)) for _ in range(2))
    light = replace(light, light=(0.2, 1.0, 0.0))
    still, changing = render_clip(dark)[0].astype(float), render_clip(light)[0].astype(float)
    ratio = (changing.sum(axis=(1, 2, 3)) / still.sum(axis=(1, 2, 3))) - 1
    assert ratio.max() == pytest.approx(0.2, abs=0.02)
    assert ratio.min() == pytest.approx(-0.2, abs=0.02)


def test_noise_has_the_deviation_asked_for() -> None:
    drawn = draw_scene(SMALL)
    with_noise = SceneRenderer(replace(drawn, noise=4.0)).render(2)[0].astype(float)
    without = SceneRenderer(replace(drawn, noise=0.0)).render(2)[0].astype(float)
    assert np.std(with_noise - without) == pytest.approx(4.0, abs=0.15)


@pytest.mark.parametrize(
    "bad",
    [
        {"size": (31, 100)},
        {"frames": 0},
        {"objects": 0},
        {"objects": 33},
        {"seed": -1},
        {"object_size": 0.6},
        {"deformation": -0.1},
        {"noise": float("nan")},
    ],
)
def test_settings_out_of_range_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=rf"SyntheticScene\.{next(iter(bad))}: expected"):
        replace(SMALL, **bad)


def test_a_single_frame() -> None:
    frames, labels = render_clip(replace(SMALL, frames=1))
    assert len(frames) == 1
    assert set(np.unique(labels)) == {0, 1, 2}


class TestBundledExample:
    def test_video_mask_and_truth_agree(self) -> None:
        with av.open(str(EXAMPLES / "crossing.mp4")) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
            assert stream.average_rate == 25
            frames = [f.to_ndarray(format="rgb24") for f in container.decode(stream)]
        truth = read_masks_json(EXAMPLES / "crossing_truth.json")
        assert len(frames) == len(truth.frames) == 40
        mask = read_first_mask(EXAMPLES / "crossing_first_mask.png", size=frames[0].shape[:2])
        assert mask.ids == (1, 2)
        assert mask.warnings == ()
        np.testing.assert_array_equal(truth.labels(0), mask.labels)

    def test_objects_cross_and_part(self) -> None:
        truth = read_masks_json(EXAMPLES / "crossing_truth.json")
        labels = np.stack([truth.labels(k) for k in range(40)])
        first = (labels == 1).sum(axis=(1, 2))
        assert 0.2 < first.min() / first[0] < 0.4
        assert 12 <= first.argmin() <= 24
        for k in (0, -1):
            spread = cv2.dilate((labels[k] == 1).astype(np.uint8), np.ones((9, 9), np.uint8))
            assert not spread[labels[k] == 2].any()

    def test_the_recipe_makes_this_truth(self) -> None:
        scene = runpy.run_path(str(EXAMPLES.parent / "scripts" / "make_example.py"))["SCENE"]
        truth = read_masks_json(EXAMPLES / "crossing_truth.json")
        frame, labels = SceneRenderer(draw_scene(scene)).render(20)
        np.testing.assert_array_equal(labels, truth.labels(20))
        with av.open(str(EXAMPLES / "crossing.mp4")) as container:
            decoded = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)][20]
        assert np.abs(decoded.astype(float) - frame).mean() < 5

    def test_it_is_small(self) -> None:
        assert sum(path.stat().st_size for path in EXAMPLES.iterdir()) < 1_000_000
