"""Drawing which objects a clip has, how large they are and where they start."""

from __future__ import annotations

import math
from dataclasses import dataclass

from numpy.random import Generator

from vostrack.datasets.composites.config import CompositeConfig
from vostrack.datasets.composites.draw_motion import Point, log_uniform
from vostrack.datasets.composites.sources import CompositeSources

__all__ = ["Draft", "draft_of", "draw_objects", "place_objects"]

# Together the objects cover no more than this share of the frame at first.
_MOST_COVERED = 0.85
# How often a place is drawn in search of one that is free.
_PLACES_TRIED = 12


@dataclass
class Draft:
    """One object while it is being drawn.

    Attributes:
        name: of its photograph.
        area: in the first frame, pixels of the frame.
        pixels: its area in the photograph.
        half_diagonal: of its box in the photograph, pixels.
        start: where its centre is at first, pixels of the frame.
        meets: when (0..1) and where it meets another object, or None.
        group: the same number, over 0, for objects that look alike.
        exits: whether it leaves the frame.
    """

    name: str
    area: float
    pixels: float
    half_diagonal: float
    start: Point = (0.0, 0.0)
    meets: tuple[float, Point] | None = None
    group: int = 0
    exits: bool = False

    @property
    def scale(self) -> float:
        """Pixels of the frame per pixel of the photograph, in the first frame."""
        return math.sqrt(self.area / self.pixels)

    @property
    def reach(self) -> float:
        """Radius of a disc of its area, pixels of the frame."""
        return math.sqrt(self.area / math.pi)


def draft_of(sources: CompositeSources, name: str, area: float) -> Draft:
    """Begin an object.

    Args:
        sources: where the photograph is from.
        name: of the photograph.
        area: of the object in the first frame, pixels.
    """
    photo = sources.photo(name)
    x0, y0, x1, y1 = photo.box
    pixels = photo.area * photo.size[0] * photo.size[1]
    return Draft(name, area, max(pixels, 1.0), math.hypot(x1 - x0, y1 - y0) / 2)


def draw_objects(
    rng: Generator, sources: CompositeSources, config: CompositeConfig, tags: set[str]
) -> list[Draft]:
    """Draw which objects there are, and how large each is at first.

    The first two resemble each other in the share of clips that the settings ask for.
    """
    frame = config.size[0] * config.size[1]
    count = int(rng.integers(config.objects[0], config.objects[1] + 1))
    drafts = []
    for _ in range(count):
        name = sources.objects[int(rng.integers(len(sources.objects)))].name
        drafts.append(draft_of(sources, name, log_uniform(rng, *config.area) * frame))
    if rng.random() < config.look_alike and config.objects[1] > 1:
        drafts[0].group = 1
        drafts[1:2] = [_draw_twin(rng, sources, config, drafts[0])]
        tags.add("look-alike")
    covered = sum(draft.area for draft in drafts) / frame
    if covered > _MOST_COVERED:
        for draft in drafts:
            draft.area *= _MOST_COVERED / covered
    return drafts


def _draw_twin(
    rng: Generator, sources: CompositeSources, config: CompositeConfig, own: Draft
) -> Draft:
    """Draw a second specimen of an object: the same photograph, or one of its look-alikes."""
    frame = config.size[0] * config.size[1]
    others = sources.look_alikes(own.name)
    name = own.name
    if others and rng.random() < config.resembling:
        name = others[int(rng.integers(len(others)))]
    area = own.area * float(rng.uniform(0.75, 1.3))
    low, high = config.area[0] * frame, config.area[1] * frame
    twin = draft_of(sources, name, min(max(area, low), high))
    twin.group = own.group
    return twin


def place_objects(
    rng: Generator, config: CompositeConfig, drafts: list[Draft], tags: set[str]
) -> None:
    """Draw where the objects start, apart from each other as far as there is room.

    In the share of clips that the settings ask for, the first two meet later on.
    """
    for index, draft in enumerate(drafts):
        _place(rng, config, draft, drafts[:index])
    if len(drafts) > 1 and rng.random() < config.crossing:
        time = float(rng.uniform(0.3, 0.8))
        first, second = drafts[0], drafts[1]
        x = (first.start[0] + second.start[0]) / 2
        y = (first.start[1] + second.start[1]) / 2
        # Half the distance between their centres: from one on the other to just touching.
        apart = (first.reach + second.reach) * float(rng.uniform(0, 0.55))
        angle = float(rng.uniform(0, 2 * math.pi))
        dx, dy = apart * math.cos(angle), apart * math.sin(angle)
        first.meets = (time, (x + dx, y + dy))
        second.meets = (time, (x - dx, y - dy))
        tags.add("crossing")


def _place(rng: Generator, config: CompositeConfig, draft: Draft, others: list[Draft]) -> None:
    height, width = config.size
    reach, best_gap = draft.reach, -math.inf
    cut = rng.random() < config.edge
    inset = max(reach, 0.85 * draft.half_diagonal * draft.scale)
    inset_x, inset_y = min(inset, width / 2), min(inset, height / 2)
    for _ in range(_PLACES_TRIED):
        x = float(rng.uniform(inset_x, width - inset_x))
        y = float(rng.uniform(inset_y, height - inset_y))
        if cut:
            depth = float(rng.uniform(-0.5, 0.6)) * reach
            side = int(rng.integers(4))
            x = (depth, width - depth, x, x)[side]
            y = (y, y, depth, height - depth)[side]
        gaps = [math.dist((x, y), other.start) - reach - other.reach for other in others]
        gap = min(gaps, default=0.0)
        if gap > best_gap:
            draft.start, best_gap = (x, y), gap
        if gap >= 0:
            break
