"""Drawing how an object moves, bends and looks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vostrack.datasets.composites.config import CompositeConfig
from vostrack.datasets.composites.draw_look import draw_colour
from vostrack.datasets.composites.draw_motion import (
    leave_and_return,
    log_uniform,
    path_through,
    poses_along,
)
from vostrack.datasets.composites.draw_objects import Draft
from vostrack.datasets.composites.plan import Bend, Layer, Parts, Shadow

__all__ = ["draw_layer", "recolour_twins"]

FloatArray = NDArray[np.float64]

# No object grows over this share of the frame, whatever its growth.
_LARGEST_AREA = 0.75
# Objects over this share of the frame shrink instead of growing.
_LARGE_AREA = 0.2
# Control points of a bend lie within so many of its standard deviations.
_BEND_REACH = 3.5


def draw_layer(
    rng: Generator,
    config: CompositeConfig,
    draft: Draft,
    times: FloatArray,
    shutter: float,
) -> Layer:
    """Draw how an object moves and looks.

    Args:
        rng: the source of chance.
        config: ranges and shares.
        draft: the object, its size and start.
        times: (T), 0 to 1.
        shutter: how long it is open, as a share of the time between frames.
    """
    scales = draft.scale * _draw_factor(rng, config, draft) ** times
    turn = math.radians(config.turn) * float(rng.normal(0, 0.4))
    angles = float(rng.normal(0, 0.25)) + turn * times
    bend, parts = _draw_bend(rng, config, times), _draw_parts(rng, config, times)
    path = _draw_path(rng, config, draft, times, _radius(draft, scales, bend, parts))
    return Layer(
        draft.name,
        "matte",
        poses_along(path, scales, angles),
        group=draft.group,
        flip=bool(rng.random() < 0.5),
        colour=draw_colour(rng, config),
        bend=bend,
        parts=parts,
        shadow=_draw_shadow(rng, config),
        feather=float(rng.uniform(*config.feather)),
        shutter=shutter,
        anchored=not draft.exits and draft.meets is None and bool(rng.random() < config.anchored),
    )


def recolour_twins(rng: Generator, layers: Sequence[Layer]) -> list[Layer]:
    """Give layers of one group the colours of its first, but for a little."""
    models: dict[int, Layer] = {}
    out = []
    for layer in layers:
        model = models.setdefault(layer.group, layer) if layer.group else layer
        if model is not layer:
            colour = replace(
                model.colour,
                hue=model.colour.hue + float(rng.normal(0, 0.12)),
                saturation=model.colour.saturation * float(rng.uniform(0.85, 1.15)),
                gain=model.colour.gain * float(rng.uniform(0.88, 1.12)),
            )
            layer = replace(layer, colour=colour)
        out.append(layer)
    return out


def _draw_factor(rng: Generator, config: CompositeConfig, draft: Draft) -> float:
    """By which factor the object's sides grow over the clip."""
    frame = config.size[0] * config.size[1]
    factor = log_uniform(rng, 1 / config.scale_change, config.scale_change)
    if rng.random() < config.growth:
        factor = log_uniform(rng, min(2.0, config.largest_growth), config.largest_growth)
        if draft.area > _LARGE_AREA * frame or rng.random() < 0.25:
            factor = 1 / factor
    return min(factor, max(math.sqrt(_LARGEST_AREA * frame / draft.area), 1.0))


def _radius(draft: Draft, scales: FloatArray, bend: Bend | None, parts: Parts | None) -> float:
    """How far from its centre the object reaches at most, pixels of the frame."""
    reach = 1.0
    if bend is not None:
        reach += _BEND_REACH * bend.amount
    if parts is not None:
        reach += max(parts.distances) / 2
    return draft.half_diagonal * reach * float(scales.max())


def _draw_path(
    rng: Generator, config: CompositeConfig, draft: Draft, times: FloatArray, radius: float
) -> FloatArray:
    height, width = config.size
    if draft.exits:
        return leave_and_return(rng, times, draft.start, radius, config.size)
    x0, y0 = draft.start
    if draft.meets is not None:
        time, (x, y) = draft.meets
        beyond = float(rng.uniform(0.3, 1.0)) * (1 - time) / time
        end = (x + (x - x0) * beyond, y + (y - y0) * beyond)
        points = [(0.0, draft.start), (time, (x, y)), (1.0, end)]
        return path_through(rng, times, points, 0.1 * draft.reach)
    distance = log_uniform(rng, *config.travel) * math.hypot(height, width)
    # Rather through the frame than out of it.
    for _ in range(6):
        angle = float(rng.uniform(0, 2 * math.pi))
        end = (x0 + distance * math.cos(angle), y0 + distance * math.sin(angle))
        if 0 <= end[0] <= width and 0 <= end[1] <= height:
            break
    return path_through(rng, times, [(0.0, draft.start), (1.0, end)], 0.25 * distance)


def _draw_bend(rng: Generator, config: CompositeConfig, times: FloatArray) -> Bend | None:
    if rng.random() >= config.bending or not config.largest_bend:
        return None
    amount = float(rng.uniform(0.3, 1.0)) * config.largest_bend
    phases = float(rng.uniform(0, 2 * math.pi)) + times * float(rng.uniform(0.7, 4.5))
    return Bend(amount, int(rng.integers(2**32)), tuple(phases.tolist()))


def _draw_parts(rng: Generator, config: CompositeConfig, times: FloatArray) -> Parts | None:
    if rng.random() >= config.parts:
        return None
    start, end = float(rng.uniform(0, 0.3)), float(rng.uniform(0.8, 1.0))
    ramp = np.clip((times - start) / (end - start), 0, 1)
    distances = ramp * float(rng.uniform(0.3, 1.2))
    spins = ramp * float(rng.normal(0, 0.4))
    angle = float(rng.uniform(0, 2 * math.pi))
    return Parts(angle, tuple(distances.tolist()), tuple(spins.tolist()))


def _draw_shadow(rng: Generator, config: CompositeConfig) -> Shadow | None:
    if rng.random() >= config.shadow:
        return None
    return Shadow(
        x=float(rng.normal(0, 0.12)),
        y=float(rng.uniform(0.02, 0.25)),
        softness=float(rng.uniform(0.04, 0.15)),
        strength=float(rng.uniform(0.25, 0.65)),
    )
