"""Drawing a clip: which things, where, how they move, and what happens to the whole picture."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vostrack.datasets.composites.config import CompositeConfig
from vostrack.datasets.composites.draw_look import draw_colour, draw_finish, draw_light, draw_smokes
from vostrack.datasets.composites.draw_motion import (
    Point,
    draw_times,
    draw_views,
    leave_and_return,
    log_uniform,
    path_through,
    poses_along,
)
from vostrack.datasets.composites.plan import (
    Backdrop,
    Bend,
    CompositePlan,
    Layer,
    Parts,
    Pose,
    Shadow,
)
from vostrack.datasets.composites.sources import CompositeSources

__all__ = ["draw_plan"]

FloatArray = NDArray[np.float64]

# Together the objects cover no more than this share of the frame at first.
_MOST_COVERED = 0.85
# No object grows over this share of the frame, whatever its growth.
_LARGEST_AREA = 0.75


@dataclass
class _Draft:
    """One thing while it is being drawn: what the layer will be made of."""

    name: str
    area: float
    pixels: float
    half_diagonal: float
    start: Point = (0.0, 0.0)
    meets: tuple[float, Point] | None = None
    twin_of: int | None = None
    exits: bool = False

    @property
    def scale(self) -> float:
        return math.sqrt(self.area / self.pixels)

    @property
    def reach(self) -> float:
        """Radius of a disc as large as it is, pixels of the frame."""
        return math.sqrt(self.area / math.pi)


def draw_plan(sources: CompositeSources, config: CompositeConfig, rng: Generator) -> CompositePlan:
    """Draw everything that a clip is rendered from.

    Args:
        sources: objects and backgrounds; only their lists are read, no pixels.
        config: ranges and shares.
        rng: the only source of chance.
    """
    tags: set[str] = set()
    frames = int(rng.integers(config.frames[0], config.frames[1] + 1))
    times = draw_times(rng, frames)
    backdrop = _draw_backdrop(rng, sources, config, times, tags)
    drafts = _draw_objects(rng, sources, config, tags)
    _place(rng, config, drafts, tags)
    if len(times) > 1 and rng.random() < config.exit:
        drafts[int(rng.integers(len(drafts)))].exits = True
    shutter = rng.uniform(0.2, 0.7) if rng.random() < config.motion_blur else 0.0
    if shutter:
        tags.add("motion-blur")
    objects = [_draw_layer(rng, config, draft, times, shutter, tags) for draft in drafts]
    _recolour_twins(rng, drafts, objects)
    order = rng.permutation(len(objects))
    layers = [objects[int(i)] for i in order]
    layers = _add_clutter(rng, sources, config, times, layers)
    if len(times) > 1 and rng.random() < config.occluder:
        layers.append(_draw_occluder(rng, sources, config, times, drafts, objects, shutter))
    return CompositePlan(
        config.size,
        backdrop,
        tuple(layers),
        draw_smokes(rng, config, tags),
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
    video = bool(videos) and (not stills or rng.random() < config.moving_background)
    blur = rng.uniform(0.5, 3.0) if rng.random() < config.defocus / 2 else 0.0
    flip = bool(rng.random() < 0.5)
    if video:
        place = videos[int(rng.integers(len(videos)))]
        step = int(rng.integers(1, 1 + max(1, min(4, (place.length - 1) // max(frames - 1, 1)))))
        first = int(rng.integers(max(place.length - step * (frames - 1), 1)))
        # A video that is too short swings back and forth.
        period = max(2 * place.length - 2, 1)
        indices = [(first + step * i) % period for i in range(frames)]
        indices = [min(i, period - i) for i in indices]
        if rng.random() < 0.5:
            indices.reverse()
        tags.add("real-clip")
        views = draw_views(rng, times, moving=bool(rng.random() < 0.3))
        return Backdrop(place.name, tuple(indices), False, views, flip, blur)
    moving = bool(rng.random() < config.camera)
    if moving:
        tags.add("camera")
    # Frames of annotated videos are stills as good as any.
    annotated = [place for place in videos if place.masks]
    some = stills if not annotated or (stills and rng.random() < 0.6) else annotated
    place = some[int(rng.integers(len(some)))]
    index = int(rng.integers(place.length))
    emptied = bool(rng.random() < config.emptied)
    views = draw_views(rng, times, moving=moving)
    return Backdrop(place.name, (index,) * frames, emptied, views, flip, blur)


def _draft(sources: CompositeSources, name: str, area: float) -> _Draft:
    photo = sources.photo(name)
    x0, y0, x1, y1 = photo.box
    pixels = photo.area * photo.size[0] * photo.size[1]
    return _Draft(name, area, max(pixels, 1.0), math.hypot(x1 - x0, y1 - y0) / 2)


def _draw_objects(
    rng: Generator, sources: CompositeSources, config: CompositeConfig, tags: set[str]
) -> list[_Draft]:
    """Draw which objects there are, and how large each is at first."""
    frame = config.size[0] * config.size[1]
    count = int(rng.integers(config.objects[0], config.objects[1] + 1))
    drafts = []
    for _ in range(count):
        name = sources.objects[int(rng.integers(len(sources.objects)))].name
        drafts.append(_draft(sources, name, log_uniform(rng, *config.area) * frame))
    if rng.random() < config.look_alike and config.objects[1] > 1:
        twin = _draw_twin(rng, sources, drafts[0])
        drafts[1:2] = [twin]
        tags.add("look-alike")
    covered = sum(draft.area for draft in drafts) / frame
    if covered > _MOST_COVERED:
        for draft in drafts:
            draft.area *= _MOST_COVERED / covered
    return drafts


def _draw_twin(rng: Generator, sources: CompositeSources, own: _Draft) -> _Draft:
    """Draw a second specimen of an object: the same photograph, or one of its look-alikes."""
    others = sources.look_alikes(own.name)
    name = own.name
    if others and rng.random() < 0.4:
        name = others[int(rng.integers(len(others)))]
    twin = _draft(sources, name, own.area * float(rng.uniform(0.75, 1.3)))
    twin.twin_of = 0
    return twin


def _place(rng: Generator, config: CompositeConfig, drafts: list[_Draft], tags: set[str]) -> None:
    """Draw where the objects start, apart from each other as far as there is room."""
    height, width = config.size
    for index, draft in enumerate(drafts):
        best, best_gap = (width / 2, height / 2), -math.inf
        cut = rng.random() < config.edge
        for _ in range(12):
            reach = draft.reach
            inset_x, inset_y = min(reach, width / 2), min(reach, height / 2)
            x = float(rng.uniform(inset_x, max(width - inset_x, inset_x + 1e-6)))
            y = float(rng.uniform(inset_y, max(height - inset_y, inset_y + 1e-6)))
            if cut:
                depth = float(rng.uniform(-0.5, 0.6)) * reach
                side = int(rng.integers(4))
                x = (depth, width - depth, x, x)[side]
                y = (y, y, depth, height - depth)[side]
            gap = min(
                (
                    math.dist((x, y), other.start) - draft.reach - other.reach
                    for other in drafts[:index]
                ),
                default=0.0,
            )
            if gap > best_gap:
                best, best_gap = (x, y), gap
            if gap >= 0:
                break
        draft.start = best
    if len(drafts) > 1 and rng.random() < config.crossing:
        time = float(rng.uniform(0.3, 0.8))
        first, second = drafts[0], drafts[1]
        middle = tuple((a + b) / 2 for a, b in zip(first.start, second.start, strict=True))
        distance = (first.reach + second.reach) * float(rng.uniform(0, 0.55))
        angle = float(rng.uniform(0, 2 * math.pi))
        dx, dy = distance * math.cos(angle), distance * math.sin(angle)
        first.meets = (time, (middle[0] + dx, middle[1] + dy))
        second.meets = (time, (middle[0] - dx, middle[1] - dy))
        tags.add("crossing")


def _draw_path(
    rng: Generator, config: CompositeConfig, draft: _Draft, times: FloatArray, scales: FloatArray
) -> FloatArray:
    height, width = config.size
    # A bent object reaches a little further than its photograph.
    radius = draft.half_diagonal * (1 + 2 * config.largest_bend) * float(scales.max())
    if draft.exits:
        return leave_and_return(rng, times, draft.start, radius, config.size)
    diagonal = math.hypot(height, width)
    distance = log_uniform(rng, *config.travel) * diagonal
    if draft.meets is not None:
        time, (x, y) = draft.meets
        beyond = float(rng.uniform(0.3, 1.0))
        end = (
            x + (x - draft.start[0]) * beyond * (1 - time) / time,
            y + (y - draft.start[1]) * beyond * (1 - time) / time,
        )
        points = [(0.0, draft.start), (time, (x, y)), (1.0, end)]
        return path_through(rng, times, points, 0.1 * draft.reach)
    end = draft.start
    for _ in range(6):
        angle = float(rng.uniform(0, 2 * math.pi))
        end = (
            draft.start[0] + distance * math.cos(angle),
            draft.start[1] + distance * math.sin(angle),
        )
        if 0 <= end[0] <= width and 0 <= end[1] <= height:
            break
    points = [(0.0, draft.start), (1.0, end)]
    return path_through(rng, times, points, 0.25 * distance)


def _draw_layer(
    rng: Generator,
    config: CompositeConfig,
    draft: _Draft,
    times: FloatArray,
    shutter: float,
    tags: set[str],
) -> Layer:
    """Draw how an object moves and looks."""
    frame = config.size[0] * config.size[1]
    factor = log_uniform(rng, 1 / config.scale_change, config.scale_change)
    if rng.random() < config.growth:
        factor = log_uniform(rng, min(2.0, config.largest_growth), config.largest_growth)
        if draft.area > 0.2 * frame or rng.random() < 0.25:
            factor = 1 / factor
    factor = min(factor, math.sqrt(_LARGEST_AREA * frame / draft.area))
    scales = draft.scale * factor**times
    turn = math.radians(config.turn) * float(rng.normal(0, 0.4))
    lean = float(rng.normal(0, 0.25))
    angles = lean + turn * times
    path = _draw_path(rng, config, draft, times, scales)
    shadow = None
    if rng.random() < config.shadow:
        tags.add("shadow")
        x, y = float(rng.normal(0, 0.12)), float(rng.uniform(0.02, 0.25))
        shadow = Shadow(x, y, float(rng.uniform(0.04, 0.15)), float(rng.uniform(0.25, 0.65)))
    return Layer(
        draft.name,
        "matte",
        True,
        poses_along(path, scales, angles),
        flip=bool(rng.random() < 0.5),
        colour=draw_colour(rng, config),
        bend=_draw_bend(rng, config, times, tags),
        parts=_draw_parts(rng, config, times, tags),
        shadow=shadow,
        feather=float(rng.uniform(*config.feather)),
        shutter=shutter,
        anchored=not draft.exits and draft.meets is None and bool(rng.random() < config.anchored),
    )


def _draw_bend(
    rng: Generator, config: CompositeConfig, times: FloatArray, tags: set[str]
) -> Bend | None:
    if rng.random() >= config.bending or not config.largest_bend:
        return None
    tags.add("bending")
    amount = float(rng.uniform(0.3, 1.0)) * config.largest_bend
    phases = float(rng.uniform(0, 6.28)) + times * float(rng.uniform(0.7, 6.0))
    return Bend(amount, int(rng.integers(2**32)), tuple(phases.tolist()))


def _draw_parts(
    rng: Generator, config: CompositeConfig, times: FloatArray, tags: set[str]
) -> Parts | None:
    if rng.random() >= config.parts:
        return None
    tags.add("parts")
    start, end = float(rng.uniform(0, 0.3)), float(rng.uniform(0.8, 1.0))
    ramp = np.clip((times - start) / (end - start), 0, 1)
    distances = ramp * float(rng.uniform(0.3, 1.2))
    spins = ramp * float(rng.normal(0, 0.4))
    angle = float(rng.uniform(0, 2 * math.pi))
    return Parts(angle, tuple(distances.tolist()), tuple(spins.tolist()))


def _recolour_twins(rng: Generator, drafts: list[_Draft], layers: list[Layer]) -> None:
    """Give a twin the colours of its model, but for a little."""
    for index, draft in enumerate(drafts):
        if draft.twin_of is None:
            continue
        model = layers[draft.twin_of]
        colour = replace(
            model.colour,
            hue=model.colour.hue + float(rng.normal(0, 0.12)),
            saturation=model.colour.saturation * float(rng.uniform(0.85, 1.15)),
            gain=model.colour.gain * float(rng.uniform(0.88, 1.12)),
        )
        layers[index] = replace(layers[index], colour=colour)


def _add_clutter(
    rng: Generator,
    sources: CompositeSources,
    config: CompositeConfig,
    times: FloatArray,
    layers: list[Layer],
) -> list[Layer]:
    """Put things without a mask behind the objects, or among them."""
    frame = config.size[0] * config.size[1]
    out = list(layers)
    for _ in range(int(rng.integers(config.clutter[0], config.clutter[1] + 1))):
        # Sometimes another specimen of an object, which must not be taken for it.
        name = sources.objects[int(rng.integers(len(sources.objects)))].name
        if layers and rng.random() < 0.3:
            name = layers[int(rng.integers(len(layers)))].source
        low, high = config.area
        draft = _draft(sources, name, log_uniform(rng, low, min(high, max(low, 0.15))) * frame)
        _place(rng, replace(config, crossing=0), [draft], set())
        layer = _draw_layer(rng, replace(config, growth=0), draft, times, 0.0, set())
        place = 0 if rng.random() < 0.7 else int(rng.integers(len(out) + 1))
        out.insert(place, replace(layer, wanted=False))
    return out


def _draw_occluder(
    rng: Generator,
    sources: CompositeSources,
    config: CompositeConfig,
    times: FloatArray,
    drafts: list[_Draft],
    layers: list[Layer],
    shutter: float,
) -> Layer:
    """Draw a thing that passes in front of an object: a bar, a patch of a still, or an object."""
    height, width = config.size
    which = int(rng.integers(len(drafts)))
    victim = drafts[which]
    middle = int(rng.integers(1, len(times)))
    target = layers[which].poses[middle]
    sizes = victim.area * (target.scale / layers[which].poses[0].scale) ** 2
    area = min(sizes * log_uniform(rng, 0.3, 2.0), 0.5 * height * width)
    kind = rng.random()
    common = {"colour": draw_colour(rng, config), "shutter": shutter}
    if kind < 0.5:
        name = sources.objects[int(rng.integers(len(sources.objects)))].name
        draft = _draft(sources, name, area)
        poses = _pass_over(rng, config, times, middle, target, draft.reach + victim.reach)
        poses = tuple(replace(pose, scale=draft.scale) for pose in poses)
        return Layer(name, "matte", False, poses, flip=bool(rng.random() < 0.5), **common)  # type: ignore[arg-type]
    places = sources.stills or sources.videos
    name = places[int(rng.integers(len(places)))].name
    seed = int(rng.integers(2**32))
    if kind < 0.75:
        # Shapes are drawn on a square of 256 pixels; a bar is longer than the frame.
        scale = max(1.6 * math.hypot(height, width) / 256, math.sqrt(area) * 1.5 / 256)
        poses = _pass_over(rng, config, times, middle, target, victim.reach * 1.6)
        angle = float(rng.normal(0, 0.3))
        poses = tuple(replace(pose, scale=scale, angle=angle) for pose in poses)
        return Layer(name, "bar", False, poses, seed, **common)  # type: ignore[arg-type]
    scale = math.sqrt(area / 0.45) / 256
    poses = _pass_over(rng, config, times, middle, target, math.sqrt(area) * 0.6 + victim.reach)
    poses = tuple(replace(pose, scale=scale) for pose in poses)
    return Layer(name, "blob", False, poses, seed, **common)  # type: ignore[arg-type]


def _pass_over(
    rng: Generator,
    config: CompositeConfig,
    times: FloatArray,
    middle: int,
    target: Pose,
    distance: float,
) -> tuple[Pose, ...]:
    """Come from aside, be in front of ``target`` at frame ``middle``, and go on."""
    angle = float(rng.uniform(0, 2 * math.pi))
    reach = distance * float(rng.uniform(1.0, 1.6))
    off_x, off_y = rng.normal(0, 0.15, 2) * distance
    way = (times - times[middle]) / max(float(times[middle]), 1e-6)
    return tuple(
        Pose(
            target.x + float(off_x) + reach * math.cos(angle) * t,
            target.y + float(off_y) + reach * math.sin(angle) * t,
            1.0,
        )
        for t in way.tolist()
    )
