"""True masks and pixels against a compositor that is slow and obvious."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from vostrack.datasets.composites import CompositeSources
from vostrack.datasets.composites.plan import (
    Backdrop,
    Bend,
    CompositePlan,
    Finish,
    Layer,
    Light,
    Parts,
    Pose,
    Shadow,
    Smoke,
    View,
)
from vostrack.datasets.composites.render import render_plan

SIZE = (96, 128)
STILL = Backdrop("s01", (0, 0, 0), False, (View(),) * 3)

FloatArray = NDArray[np.float64]


def _layer(name: str, number: int, *poses: Pose, **changes: object) -> Layer:
    return replace(Layer(name, "matte", poses, id=number), **changes)  # type: ignore[arg-type]


def _plan(*layers: Layer, backdrop: Backdrop = STILL, **changes: object) -> CompositePlan:
    return replace(CompositePlan(SIZE, backdrop, layers), **changes)  # type: ignore[arg-type]


def _sample(image: FloatArray, x: float, y: float) -> FloatArray:
    """Bilinear, nothing outside."""
    total = np.zeros(image.shape[2])
    left, top = math.floor(x), math.floor(y)
    for row, share_y in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, share_x in ((left, 1 - (x - left)), (left + 1, x - left)):
            if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
                total += share_y * share_x * image[row, column]
    return total


def _reference(
    plan: CompositePlan, sources: CompositeSources, index: int
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Pixel after pixel, layer after layer: the frame and its labels."""
    height, width = plan.size
    # At zoom 1 a still of the frame's own size is shown as it is.
    image = sources.frame(plan.backdrop.name, plan.backdrop.indices[index]).astype(np.float64)
    labels = np.zeros(plan.size, np.int64)
    for layer in plan.layers:
        cutout = sources.cutout(layer.source).astype(np.float64)
        cutout[..., :3] *= cutout[..., 3:] / 255
        pose = layer.poses[index]
        cos, sin = math.cos(pose.angle), math.sin(pose.angle)
        for y in range(height):
            for x in range(width):
                dx, dy = x + 0.5 - pose.x, y + 0.5 - pose.y
                u, v = (cos * dx + sin * dy) / pose.scale, (-sin * dx + cos * dy) / pose.scale
                u = -u if layer.flip else u
                u, v = u + (cutout.shape[1] - 1) / 2, v + (cutout.shape[0] - 1) / 2
                found = _sample(cutout, u, v)
                image[y, x] = image[y, x] * (1 - found[3] / 255) + found[:3]
                if found[3] >= 127.5:
                    labels[y, x] = layer.id
    return image, labels


def test_masks_and_pixels_are_those_of_a_slow_compositor(sources: CompositeSources) -> None:
    far = _layer("o00", 2, *[Pose(40 + 20 * t, 50, 0.9, 0.3 * t) for t in range(3)])
    near = _layer(
        "o01", 1, *[Pose(60, 45 + 5 * t, 0.8 + 0.4 * t, 0.5) for t in range(3)], flip=True
    )
    hiding = _layer("o02", 0, *[Pose(90 - 10 * t, 60.5, 1.0) for t in range(3)])
    plan = _plan(far, near, hiding)
    rendered = render_plan(plan, sources)
    for index in range(3):
        image, labels = _reference(plan, sources, index)
        assert np.abs(rendered.images[index] - image).max() < 4
        wrong = rendered.labels[index] != labels
        # Rounding decides pixels of alpha 0.5 itself, nothing else.
        assert wrong.mean() < 0.001
        assert set(np.unique(rendered.labels[index])) == {0, 1, 2}


def test_the_nearest_layer_takes_the_pixel(sources: CompositeSources) -> None:
    first = _layer("o00", 1, *[Pose(64, 48, 1)] * 3)
    second = _layer("o01", 2, *[Pose(64, 48, 1)] * 3)
    for layers in ((first, second), (second, first)):
        rendered = render_plan(_plan(*layers), sources)
        assert rendered.labels[0, 48, 64] == layers[1].id
        assert rendered.areas[0, 0] > 1000
        assert rendered.areas[0, 1] > 900
    hidden = render_plan(_plan(first, replace(first, id=0)), sources)
    assert not hidden.labels.any()
    assert (hidden.areas[:, 0] > 1000).all()


def test_the_same_plan_gives_the_same_bytes(sources: CompositeSources) -> None:
    layer = _layer(
        "o00",
        1,
        *[Pose(40 + 10 * t, 50, 1) for t in range(3)],
        bend=Bend(0.2, 5, (0.0, 1.0, 2.0)),
        shadow=Shadow(0.1, 0.2, 0.1, 0.5),
        shutter=0.5,
        feather=1.0,
    )
    plan = _plan(
        layer,
        smokes=(Smoke((0.5,) * 3, (200, 200, 200), 3, (0.1, 0.0), False),),
        light=Light(((0.5, 0.6, 0.7),) * 3, 1.2, 0.3, 4),
        finish=Finish(5.0, 0.5, 0.5, 28, 60, 9),
    )
    first, second = render_plan(plan, sources), render_plan(plan, sources)
    assert first.images.tobytes() == second.images.tobytes()
    assert first.labels.tobytes() == second.labels.tobytes()
    noisy = replace(plan, finish=replace(plan.finish, seed=10))
    assert render_plan(noisy, sources).images.tobytes() != first.images.tobytes()


def test_what_changes_the_picture_only_leaves_masks_alone(sources: CompositeSources) -> None:
    layer = _layer("o00", 1, *[Pose(64, 48, 1)] * 3)
    plain = render_plan(_plan(layer), sources)
    for changed in (
        _plan(replace(layer, shadow=Shadow(0.3, 0.3, 0.1, 0.8))),
        _plan(layer, smokes=(Smoke((0.9,) * 3, (255, 255, 255), 1, (0.0, 0.0), True),)),
        _plan(layer, light=Light(((0.3, 0.3, 0.3),) * 3)),
        _plan(layer, finish=Finish(noise=20, blur=1.0, h264=35, jpeg=30)),
    ):
        other = render_plan(changed, sources)
        assert (other.labels == plain.labels).all()
        assert np.abs(other.images.astype(int) - plain.images).mean() > 1


def test_a_shadow_darkens_what_is_behind_and_not_the_object(sources: CompositeSources) -> None:
    layer = _layer("o00", 1, *[Pose(50, 40, 1)] * 3)
    plain = render_plan(_plan(layer), sources)
    shadowed = render_plan(_plan(replace(layer, shadow=Shadow(0.4, 0.4, 0.05, 0.7))), sources)
    darker = plain.images[0].astype(int) - shadowed.images[0]
    assert darker.min() >= -1
    assert np.abs(darker[plain.areas.sum() and plain.labels[0] == 1]).mean() < 2
    # The disc has a radius of 20; its shadow lies 14 pixels to the lower right.
    assert darker[66, 66].sum() > 0.4 * plain.images[0][66, 66].sum()


def test_a_bend_moves_the_outline_smoothly_and_a_phase_later_differently(
    sources: CompositeSources,
) -> None:
    still = _layer("o01", 1, *[Pose(64, 48, 1.2)] * 3)
    straight = render_plan(_plan(still), sources).labels
    bent = render_plan(_plan(replace(still, bend=Bend(0.15, 1, (0.0, 0.5, 3.1)))), sources).labels
    assert not (bent[0] == straight[0]).all()
    differences = [(bent[0] != bent[index]).sum() for index in (1, 2)]
    assert 0 < differences[0] < differences[1]
    nothing = render_plan(_plan(replace(still, bend=Bend(0.0, 1, (0.0,) * 3))), sources).labels
    assert (nothing != straight).mean() < 0.001


def test_parts_come_apart_and_stay_one_object(sources: CompositeSources) -> None:
    import cv2

    apart = Parts(0.0, (0.0, 0.3, 0.8), (0.0, 0.0, 0.0))
    for flip in (False, True):
        layer = _layer("o01", 1, *[Pose(64, 48, 1)] * 3, parts=apart, flip=flip)
        labels = render_plan(_plan(layer), sources).labels
        pieces = [cv2.connectedComponents(frame)[0] - 1 for frame in labels]
        assert pieces == [1, 2, 2]
        assert labels[2].sum() == pytest.approx(labels[0].sum(), rel=0.05)
        # The gap is 0.8 of half of 69 pixels.
        row = np.flatnonzero(labels[2, 48])
        assert np.diff(row).max() == pytest.approx(0.8 * 69 / 2, abs=2)


def test_an_open_shutter_smears_along_the_way(sources: CompositeSources) -> None:
    poses = [Pose(30 + 30 * t, 48, 0.5) for t in range(3)]
    sharp = _layer("o00", 1, *poses)
    smeared = render_plan(_plan(replace(sharp, shutter=0.6)), sources).images.astype(int)
    change = np.abs(smeared - render_plan(_plan(sharp), sources).images).sum(axis=(0, 3))
    assert change[48].max() > 50
    # Nothing above or below the way of a disc of radius 10.
    assert not change[:36].any()
    assert not change[60:].any()


def test_anchored_layers_move_with_the_camera(sources: CompositeSources) -> None:
    views = tuple(View(1.5, x, 0.0) for x in (-0.5, 0.0, 0.5))
    moving = Backdrop("s01", (0, 0, 0), False, views)
    free = _layer("o00", 1, *[Pose(64, 48, 0.5)] * 3)
    layers = (free, replace(free, id=2, anchored=True))
    columns = []
    for layer in layers:
        labels = render_plan(_plan(replace(layer, id=1), backdrop=moving), sources).labels
        columns.append([float(np.nonzero(frame)[1].mean()) for frame in labels])
    assert np.ptp(columns[0]) < 0.01
    # The camera goes over half of the slack on each side: 1.5 * 128 - 128 over two, halved.
    assert np.diff(columns[1]) == pytest.approx([-16, -16], abs=0.6)


def test_a_flipped_background_is_the_mirror_image(sources: CompositeSources) -> None:
    plain = render_plan(_plan(), sources).images[0]
    flipped = render_plan(_plan(backdrop=replace(STILL, flip=True)), sources).images[0]
    assert np.abs(plain[:, ::-1].astype(int) - flipped).max() <= 1
