"""What happens in clips with occlusions: when objects go, and where they come back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator

from vostrack.arrays import DoubleArray, UInt8Array
from vostrack.datasets.occlusions.clip import Actor, Judged, OcclusionClip, Shot
from vostrack.datasets.occlusions.material import Material
from vostrack.errors import InputError

__all__ = ["OCCLUSION_KINDS", "draw_occlusion"]

# Frames before anything happens, of a way into or out of hiding, and after which it is judged.
_BEFORE, _WAY, _AFTER = 8, 8, 10
# A clip is drawn again up to so often until the object is hidden, and seen with so many pixels.
_ATTEMPTS, _LEAST = 20, 250
# Share of the crossings in which the objects turn back.
_TURN_BACK = 0.25
# Square root of an object's area, as a share of the shorter side.
_SIZES = (0.24, 0.34)
_Knots = list[tuple[int, tuple[float, float]]]


@dataclass(frozen=True)
class _Stage:
    """What a clip is drawn on."""

    rng: Generator
    material: Material
    size: tuple[int, int]
    away: int

    @property
    def height(self) -> int:
        return self.size[0]

    @property
    def width(self) -> int:
        return self.size[1]

    def times(self) -> tuple[int, int, int]:
        """Return when the object is gone, when it comes back, and the last frame."""
        gone = _BEFORE + _WAY
        return gone, gone + self.away, gone + self.away + _WAY + _AFTER

    def one_shot(self) -> tuple[Shot, ...]:
        return (Shot(0, self.sheet()),)

    def sheet(self) -> UInt8Array:
        more = 2 * OcclusionClip.margin
        return self.material.sheet(self.rng, self.height + more, self.width + more)

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def row(self) -> float:
        return self.between(0.35, 0.65) * self.height

    def outside(self, pixels: UInt8Array) -> float:
        """Return how far beyond the frame's edge the centre of an object must be."""
        height, width = pixels.shape[:2]
        longest = _SIZES[1] * min(self.size) * math.hypot(height, width) / _side(pixels)
        return 0.6 * longest + OcclusionClip.margin

    def actor(self, pixels: UInt8Array, number: int, knots: _Knots) -> Actor:
        """Let an object of a drawn size go through places at given frames, till the last one."""
        scale = self.between(*_SIZES) * min(self.size) / _side(pixels)
        growth, spin = self.between(0.88, 1.14), self.between(-0.3, 0.3)
        frames = knots[-1][0] + 1
        times = np.linspace(0, 1, frames)
        places = _through(knots, frames)
        return Actor(pixels, number, places, scale * growth**times, spin * times)


def draw_occlusion(
    kind: str, material: Material, away: int, seed: int, size: tuple[int, int] = (128, 192)
) -> OcclusionClip:
    """Draw a clip.

    Args:
        kind: one of ``OCCLUSION_KINDS``.
        material: what is seen.
        away: for how many frames an object is out of sight, 1 or more; ``crossing`` and ``cut``
            have no such time.
        seed: the same one gives the same clip.
        size: H and W in pixels.

    Raises:
        InputError: there is no such kind, or ``away`` is below 1.
    """
    if kind not in OCCLUSION_KINDS:
        raise InputError(f"kind: expected one of {', '.join(OCCLUSION_KINDS)}, got {kind!r}")
    if away < 1:
        raise InputError(f"away: expected at least 1 frame, got {away}")
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng([seed, sorted(OCCLUSION_KINDS).index(kind), away, attempt])
        drawn = OCCLUSION_KINDS[kind](_Stage(rng, material, size, away))
        clip = OcclusionClip(f"{kind}-{away}-{seed}", kind, size, *drawn, seed)
        if _comes_and_goes(clip):
            return clip
    raise InputError(
        f"occlusions: {_ATTEMPTS} clips of kind {kind} and seed {seed} hid no object completely; "
        "take another seed, or objects that are less elongated"
    )


def _comes_and_goes(clip: OcclusionClip) -> bool:
    """Tell whether every object is seen when it is given and judged, and not in between."""
    seen = {0: clip.render(0)[1], len(clip) - 1: clip.render(len(clip) - 1)[1]}
    for number, start in clip.starts.items():
        given = seen[start] if start in seen else clip.render(start)[1]
        if (given == number).sum() < _LEAST or (seen[len(clip) - 1] == number).sum() < _LEAST:
            return False
    for judged in clip.judged:
        back = len(clip) - 1 - _AFTER - (0 if clip.kind == "cut-away" else _WAY)
        if judged.away and (clip.render(back - (judged.away + 1) // 2)[1] == judged.number).any():
            return False
    return True


_Drawn = tuple[tuple[Shot, ...], tuple[Actor, ...], dict[int, int], tuple[Judged, ...]]


def _wall(stage: _Stage) -> _Drawn:
    """An object goes behind a wall, stays there, and comes out on a side; another stands by."""
    rng, width = stage.rng, stage.width
    own, other = stage.material.objects(rng, 2)
    gone, back, last = stage.times()
    side, out = (int(rng.choice([-1, 1])) for _ in range(2))
    middle, y = (width / 2, stage.row()), stage.row()
    start, end = (width / 2 + 0.34 * way * width for way in (side, out))
    goal = (end, stage.row())
    knots: _Knots = [(0, (start, y)), (_BEFORE, (start - 0.04 * side * width, y))]
    knots += [(gone, middle), (back, middle), (back + _WAY, goal), (last, goal)]
    actors = [stage.actor(own, 1, knots)]
    starts = {1: 0}
    if out == side:
        place = (width / 2 - 0.36 * side * width, stage.row())
        actors.append(stage.actor(other, 2, _standing(place, last)))
        starts[2] = 0
    actors.append(_panel(stage, middle[0], actors[0]))
    return stage.one_shot(), tuple(actors), starts, (Judged(1, last, stage.away),)


def _exit(stage: _Stage) -> _Drawn:
    """An object leaves the picture and returns, on the same side or on another."""
    rng, (height, width) = stage.rng, stage.size
    own, other = stage.material.objects(rng, 2)
    gone, back, last = stage.times()
    side, reach = int(rng.choice([-1, 1])), stage.outside(own)
    start = (width / 2 + 0.2 * side * width, stage.row())
    outside = (width / 2 + side * (width / 2 + reach), start[1])
    entries = [(outside[0], stage.row()), (width - outside[0], stage.row())]
    entries.append((stage.between(0.4, 0.6) * width, -reach))
    end = (stage.between(0.35, 0.65) * width, stage.row())
    knots: _Knots = [(0, start), (_BEFORE, (start[0] + 3 * side, start[1])), (gone, outside)]
    knots += [(back, entries[int(rng.integers(3))]), (back + _WAY, end), (last, end)]
    actors = [stage.actor(own, 1, knots)]
    starts = {1: 0}
    if rng.random() < 0.5:
        place = (width / 2 - 0.3 * side * width, stage.between(0.3, 0.7) * height)
        actors.insert(0, stage.actor(other, 2, _standing(place, last)))
        starts[2] = 0
    return stage.one_shot(), tuple(actors), starts, (Judged(1, last, stage.away),)


def _hidden(stage: _Stage) -> _Drawn:
    """An object is hidden by a larger one with another look, which then goes on."""
    rng, width = stage.rng, stage.width
    own, front = stage.material.objects(rng, 2)
    gone, back, last = stage.times()
    y, side, out = stage.row(), int(rng.choice([-1, 1])), int(rng.choice([-1, 1]))
    place = (width / 2, y)
    far, onward = ((width / 2 + 0.34 * way * width, y) for way in (side, out))
    knots: _Knots = [(0, far), (_BEFORE, far), (gone, place), (back, place)]
    knots += [(back + _WAY, onward), (last, onward)]
    behind = stage.actor(own, 1, _standing(place, last))
    behind = replace(behind, scales=0.62 * behind.scales)
    hider = stage.actor(front, 2, knots)
    scale = 1.7 * behind.scales[0] * max(own.shape[:2]) / min(front.shape[:2])
    hider = replace(hider, scales=np.full(last + 1, scale))
    judged = (Judged(1, last, stage.away), Judged(2, last, 0))
    return stage.one_shot(), (behind, hider), {1: 0, 2: 0}, judged


def _crossing(stage: _Stage) -> _Drawn:
    """Two objects that look alike pass each other or turn back; one hides much of the other."""
    rng, (height, width) = stage.rng, stage.size
    meet, way = _BEFORE + 10, 10
    last = meet + way + _AFTER
    y, drop, reach = stage.row(), stage.between(-0.08, 0.08) * height, 0.33 * width
    # Turning back, their centres stay this far apart.
    gap, on = (0.06 * width, -1) if rng.random() < _TURN_BACK else (0.0, 1)
    actors = []
    for number, pixels in enumerate(stage.material.twins(rng), start=1):
        side = 2 * number - 3
        start = (width / 2 + side * reach, y)
        goal = (width / 2 - on * side * reach, y + side * drop)
        middle = (width / 2 + side * gap, y + side * drop / 2)
        knots: _Knots = [(0, start), (_BEFORE, start), (meet, middle), (meet + way, goal)]
        actors.append(stage.actor(pixels, number, [*knots, (last, goal)]))
    judged = tuple(Judged(number, last, 0) for number in (1, 2))
    return stage.one_shot(), tuple(actors), {1: 0, 2: 0}, judged


def _cut(stage: _Stage) -> _Drawn:
    """A new shot shows the same two objects elsewhere."""
    return _shots(stage, 0)


def _cut_away(stage: _Stage) -> _Drawn:
    """A shot without the objects comes in between; then they are seen again, elsewhere."""
    return _shots(stage, stage.away)


def _shots(stage: _Stage, away: int) -> _Drawn:
    width, gone = stage.width, _BEFORE + 2
    back, last = gone + away, gone + away + _AFTER
    actors = []
    sides = stage.rng.permutation([-1, 1])
    for number, pixels in enumerate(stage.material.objects(stage.rng, 2), start=1):
        before = (width / 2 + (2 * number - 3) * 0.24 * width, stage.row())
        after = (width / 2 + sides[number - 1] * 0.24 * width, stage.row())
        knots: _Knots = [(0, before), (back - 1, before), (back, after), (last, after)]
        actor = stage.actor(pixels, number, knots)
        actor.places[gone:back] = np.nan
        actor.scales[back:] *= stage.between(0.8, 1.25)
        actors.append(actor)
    shots = [*stage.one_shot(), Shot(gone, stage.sheet())]
    if away:
        shots.append(Shot(back, shots[0].sheet))
    judged = tuple(Judged(number, last, away) for number in (1, 2))
    return tuple(shots), tuple(actors), {1: 0, 2: 0}, judged


def _late(stage: _Stage) -> _Drawn:
    """An object comes in later and is given then; it leaves again and returns."""
    rng, width = stage.rng, stage.width
    early, own = stage.material.objects(rng, 2)
    given = _BEFORE + _WAY
    gone = given + 4 + _WAY
    back = gone + stage.away
    last = back + _WAY + _AFTER
    side, reach = int(rng.choice([-1, 1])), stage.outside(own)
    outside = (width / 2 + side * (width / 2 + reach), stage.row())
    inside = (width / 2 + 0.15 * side * width, stage.row())
    knots: _Knots = [(0, outside), (_BEFORE, outside), (given, inside), (given + 4, inside)]
    knots += [(gone, outside), (back, outside), (back + _WAY, inside), (last, inside)]
    place = (width / 2 - 0.3 * side * width, stage.row())
    actors = (stage.actor(early, 1, _standing(place, last)), stage.actor(own, 2, knots))
    judged = (Judged(2, last, stage.away), Judged(1, last, 0))
    return stage.one_shot(), actors, {1: 0, 2: given}, judged


OCCLUSION_KINDS: dict[str, Callable[[_Stage], _Drawn]] = {
    "wall": _wall,
    "exit": _exit,
    "hidden": _hidden,
    "crossing": _crossing,
    "cut": _cut,
    "cut-away": _cut_away,
    "late": _late,
}
"""What can happen in a clip, by name."""


def _standing(place: tuple[float, float], last: int) -> _Knots:
    return [(0, place), (last // 2, (place[0] + 3, place[1] - 2)), (last, place)]


def _through(knots: _Knots, frames: int) -> DoubleArray:
    """Lead a path through places at given frames: (T, 2)."""
    times = [time for time, _ in knots]
    axes = [np.interp(np.arange(frames), times, [at[axis] for _, at in knots]) for axis in (0, 1)]
    return np.stack(axes, axis=1)


def _side(pixels: UInt8Array) -> float:
    """Return the square root of an object's area, in its own pixels."""
    return math.sqrt(max(float((pixels[..., 3] >= 128).sum()), 1.0))


def _panel(stage: _Stage, x: float, hidden: Actor) -> Actor:
    """Return a wall from top to bottom, wide enough to hide an object."""
    diagonal = math.hypot(*hidden.pixels.shape[:2]) * float(hidden.scales.max())
    width, height, frames = math.ceil(diagonal) + 4, 2 * stage.height, len(hidden.places)
    sheet = stage.material.sheet(stage.rng, stage.height, stage.width)
    sheet = cv2.resize(sheet[:, : sheet.shape[1] // 2], (width, height)).astype(np.uint8)
    pixels = np.dstack([sheet, np.full((height, width), 255, np.uint8)])
    places = np.tile([x, stage.height / 2], (frames, 1)).astype(np.float64)
    return Actor(pixels, 0, places, np.ones(frames), np.zeros(frames))
