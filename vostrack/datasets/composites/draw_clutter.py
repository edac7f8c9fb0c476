"""Drawing what has no mask: things among the objects, and things that pass in front of them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vostrack.datasets.composites.config import CompositeConfig
from vostrack.datasets.composites.draw_layer import draw_layer
from vostrack.datasets.composites.draw_look import draw_colour
from vostrack.datasets.composites.draw_motion import log_uniform
from vostrack.datasets.composites.draw_objects import Draft, draft_of, place_objects
from vostrack.datasets.composites.layer_pixels import BLOB_AREA, SHAPE_SIDE
from vostrack.datasets.composites.plan import Layer, Pose, Shape
from vostrack.datasets.composites.sources import CompositeSources

__all__ = ["add_clutter", "draw_occluder"]

FloatArray = NDArray[np.float64]

# Clutter is no larger than this share of the frame: it is not to hide the objects.
_LARGEST_CLUTTER = 0.15


def add_clutter(
    rng: Generator,
    sources: CompositeSources,
    config: CompositeConfig,
    times: FloatArray,
    layers: list[Layer],
) -> list[Layer]:
    """Put things without a mask behind the objects, or among them.

    Args:
        rng: the source of chance.
        sources: where they are from.
        config: ranges and shares.
        times: (T), 0 to 1.
        layers: the objects, from the farthest to the nearest.

    Returns:
        All layers, from the farthest to the nearest.
    """
    frame = config.size[0] * config.size[1]
    low, high = config.area
    out = list(layers)
    for _ in range(int(rng.integers(config.clutter[0], config.clutter[1] + 1))):
        name = sources.objects[int(rng.integers(len(sources.objects)))].name
        # Sometimes another specimen of an object, which must not be taken for it.
        if layers and rng.random() < 0.3:
            name = layers[int(rng.integers(len(layers)))].source
        area = log_uniform(rng, low, min(high, max(low, _LARGEST_CLUTTER)))
        draft = draft_of(sources, name, area * frame)
        place_objects(rng, config, [draft], set())
        layer = draw_layer(rng, replace(config, growth=0), draft, times, 0.0)
        out.insert(0 if rng.random() < 0.7 else int(rng.integers(len(out) + 1)), layer)
    return out


def draw_occluder(
    rng: Generator,
    sources: CompositeSources,
    config: CompositeConfig,
    times: FloatArray,
    draft: Draft,
    victim: Layer,
    shutter: float,
) -> Layer:
    """Draw what passes in front of an object: another object, a bar, or a patch of a still.

    Args:
        rng: the source of chance.
        sources: where it is from.
        config: ranges and shares.
        times: (T), 0 to 1, at least two.
        draft: the object that it hides.
        victim: that object's layer.
        shutter: how long it is open, as a share of the time between frames.
    """
    frame = config.size[0] * config.size[1]
    middle = int(rng.integers(1, len(times)))
    target = victim.poses[middle]
    area = draft.area * (target.scale / victim.poses[0].scale) ** 2
    reach = math.sqrt(area / math.pi)
    own_area = min(area * log_uniform(rng, 0.3, 2.0), 0.5 * frame)
    shapes: tuple[Shape, ...] = ("matte", "matte", "bar", "blob")
    shape = shapes[int(rng.integers(4))]
    angle = 0.0
    if shape == "matte":
        name = sources.objects[int(rng.integers(len(sources.objects)))].name
        other = draft_of(sources, name, own_area)
        scale, distance = other.scale, other.reach + reach
    else:
        places = sources.stills or sources.videos
        name = places[int(rng.integers(len(places)))].name
        if shape == "bar":
            # Longer than the frame, whichever way it leans.
            longest = max(1.6 * math.hypot(*config.size), 1.5 * math.sqrt(own_area))
            scale, distance, angle = longest / SHAPE_SIDE, 1.6 * reach, float(rng.normal(0, 0.3))
        else:
            scale = math.sqrt(own_area / BLOB_AREA) / SHAPE_SIDE
            distance = 0.6 * math.sqrt(own_area) + reach
    return Layer(
        name,
        shape,
        _pass_over(rng, times, middle, target, distance, scale, angle),
        seed=int(rng.integers(2**32)),
        flip=bool(rng.random() < 0.5),
        colour=draw_colour(rng, config),
        shutter=shutter,
        anchored=victim.anchored,
    )


def _pass_over(
    rng: Generator,
    times: FloatArray,
    middle: int,
    target: Pose,
    distance: float,
    scale: float,
    angle: float,
) -> tuple[Pose, ...]:
    """Come from aside, be in front of ``target`` at frame ``middle``, and go on."""
    direction = float(rng.uniform(0, 2 * math.pi))
    length = distance * float(rng.uniform(1.0, 1.6))
    off_x, off_y = (rng.normal(0, 0.15, 2) * distance).tolist()
    way = length * (times - times[middle]) / times[middle]
    return tuple(
        Pose(
            target.x + off_x + covered * math.cos(direction),
            target.y + off_y + covered * math.sin(direction),
            scale,
            angle,
        )
        for covered in way.tolist()
    )
