"""Drawing a clip: which things, where, how they move, and what happens to the whole picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vostrack.datasets.composites.config import CompositeConfig
from vostrack.datasets.composites.draw_clutter import add_clutter, draw_occluder
from vostrack.datasets.composites.draw_layer import draw_layer, recolour_twins
from vostrack.datasets.composites.draw_look import draw_finish, draw_light, draw_smokes
from vostrack.datasets.composites.draw_motion import draw_times, draw_views
from vostrack.datasets.composites.draw_objects import draw_objects, place_objects
from vostrack.datasets.composites.plan import Backdrop, CompositePlan
from vostrack.datasets.composites.sources import CompositeSources

__all__ = ["draw_plan"]

FloatArray = NDArray[np.float64]

# Real clips are taken at every frame up to every fourth.
_LARGEST_STEP = 4


def draw_plan(sources: CompositeSources, config: CompositeConfig, rng: Generator) -> CompositePlan:
    """Draw everything that a clip is rendered from.

    Args:
        sources: objects and backgrounds; only their lists are read, no pixels.
        config: ranges and shares.
        rng: the only source of chance.
    """
    tags: set[str] = set()
    times = draw_times(rng, int(rng.integers(config.frames[0], config.frames[1] + 1)))
    backdrop = _draw_backdrop(rng, sources, config, times, tags)
    drafts = draw_objects(rng, sources, config, tags)
    place_objects(rng, config, drafts, tags)
    several = len(times) > 1
    if several and rng.random() < config.exit:
        drafts[int(rng.integers(len(drafts)))].exits = True
    shutter = 0.0
    if rng.random() < config.motion_blur:
        shutter = float(rng.uniform(0.2, 0.7))
        tags.add("motion-blur")
    objects = recolour_twins(
        rng, [draw_layer(rng, config, draft, times, shutter) for draft in drafts]
    )
    objects = [replace(layer, id=index + 1) for index, layer in enumerate(objects)]
    depth = rng.permutation(len(objects)).tolist()
    layers = add_clutter(rng, sources, config, times, [objects[index] for index in depth])
    if several and rng.random() < config.occluder:
        which = int(rng.integers(len(drafts)))
        layers.append(
            draw_occluder(rng, sources, config, times, drafts[which], objects[which], shutter)
        )
    return CompositePlan(
        config.size,
        backdrop,
        tuple(layers),
        draw_smokes(rng, config, times, tags),
        draw_light(rng, config, times, tags),
        draw_finish(rng, config, tags),
        frozenset(tags),
    )


def _draw_backdrop(
    rng: Generator,
    sources: CompositeSources,
    config: CompositeConfig,
    times: FloatArray,
    tags: set[str],
) -> Backdrop:
    """Take a real clip as it goes, or one frame of anything as a still with a moving camera."""
    videos, stills, frames = sources.videos, sources.stills, len(times)
    blur = float(rng.uniform(0.5, 3.0)) if rng.random() < config.defocus / 2 else 0.0
    flip = bool(rng.random() < 0.5)
    if videos and frames > 1 and (not stills or rng.random() < config.moving_background):
        tags.add("real-clip")
        place = videos[int(rng.integers(len(videos)))]
        views = draw_views(rng, times, moving=bool(rng.random() < 0.3))
        indices = _draw_indices(rng, place.length, frames)
        return Backdrop(place.name, indices, False, views, flip, blur)
    moving = bool(rng.random() < config.camera)
    if moving:
        tags.add("camera")
    # Frames of annotated videos are stills as good as any.
    annotated = [place for place in videos if place.masks]
    some = annotated if annotated and (not stills or rng.random() < 0.4) else stills or videos
    place = some[int(rng.integers(len(some)))]
    index = int(rng.integers(place.length))
    emptied = bool(rng.random() < config.emptied)
    views = draw_views(rng, times, moving=moving)
    return Backdrop(place.name, (index,) * frames, emptied, views, flip, blur)


def _draw_indices(rng: Generator, length: int, frames: int) -> tuple[int, ...]:
    """Which frames of a video are taken; one that is too short swings back and forth."""
    most = min(_LARGEST_STEP, (length - 1) // max(frames - 1, 1))
    step = int(rng.integers(1, max(most, 1) + 1))
    first = int(rng.integers(max(length - step * (frames - 1), 1)))
    period = 2 * length - 2
    indices = [(first + step * index) % period for index in range(frames)]
    indices = [min(index, period - index) for index in indices]
    return tuple(indices if rng.random() < 0.5 else indices[::-1])
