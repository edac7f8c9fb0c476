"""The numbers of synthetic clips; ``vostrack.datasets.synthetic`` renders them."""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vostrack.errors import InputError

__all__ = [
    "DrawnObject",
    "DrawnScene",
    "SyntheticScene",
    "Texture",
    "draw_scene",
]

Colour = tuple[float, float, float]
TextureKind = Literal["flat", "noise", "stripes", "spots"]


@dataclass(frozen=True)
class SyntheticScene:
    """What kind of clip to make.

    Attributes:
        size: H and W in pixels, 32 or more.
        frames: T.
        objects: N, 1..32; ids 1..N. They start apart, meet half-way and separate again.
        seed: every seed gives another scene.
        object_size: mean radius as a share of the shorter side; less where N would not fit.
        deformation: how far the outline wobbles, as a share of its radius.
        illumination: amplitude of the slow change of brightness, as a share.
        noise: standard deviation of the camera noise, in gray levels.
    """

    size: tuple[int, int] = (240, 320)
    frames: int = 40
    objects: int = 2
    seed: int = 0
    object_size: float = 0.2
    deformation: float = 0.12
    illumination: float = 0.06
    noise: float = 2.5

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: a value is out of its range.
        """
        ranges: dict[str, tuple[float, float, float]] = {
            "size": (min(self.size), 32, 8192),
            "frames": (self.frames, 1, 1_000_000),
            "objects": (self.objects, 1, 32),
            "seed": (self.seed, 0, 2**63),
            "object_size": (self.object_size, 0.02, 0.5),
            "deformation": (self.deformation, 0, 0.3),
            "illumination": (self.illumination, 0, 0.5),
            "noise": (self.noise, 0, 64),
        }
        for name, (value, low, high) in ranges.items():
            if not low <= value <= high:
                raise InputError(f"SyntheticScene.{name}: expected {low}..{high}, got {value}")


@dataclass(frozen=True)
class Texture:
    """How a surface is painted: a pattern between two colours.

    Attributes:
        kind: the pattern; ``flat`` shows the first colour only.
        colours: two RGB colours in [0, 255].
        cells: how many periods of the pattern lie across the texture.
        angle: direction of the pattern, radians.
        seed: of the pattern's random part.
    """

    kind: TextureKind
    colours: tuple[Colour, Colour]
    cells: float = 6.0
    angle: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class DrawnObject:
    """One object's numbers. Lengths are in pixels, angles in radians, time runs over [-1, 1].

    Attributes:
        texture: what it is painted with.
        radius: mean radius.
        harmonics: amplitude (share of the radius) and phase of the outline's bumps; the first has
            two a turn, the next three, and so on.
        wobble: amplitude, cycles and phase of the bumps' change in time.
        travel: x and y from the frame's centre to its end; its start is the opposite.
        aside: x and y of how far it passes the centre by; less towards start and end.
        bow: how far its path leaves the straight line, sideways.
        delay: when it passes the centre.
        spin: angle at time 0, and its change per unit of time.
        stretch: amplitude, cycles and phase of its change of size.
    """

    texture: Texture
    radius: float
    harmonics: tuple[tuple[float, float], ...]
    wobble: tuple[float, float, float]
    travel: tuple[float, float]
    aside: tuple[float, float]
    bow: float
    delay: float
    spin: tuple[float, float]
    stretch: tuple[float, float, float]


@dataclass(frozen=True)
class DrawnScene:
    """All numbers of a scene; rendering it draws nothing more but the camera's noise.

    Attributes:
        size: H and W.
        frames: T.
        objects: far to near: a later one hides those before it. The k-th has id k + 1.
        background: the textures blended behind them.
        drift: half of the background's way through the clip, x and y in pixels, and of its turn.
        light: amplitude, cycles and phase of the change of brightness.
        noise: standard deviation of the camera noise, in gray levels.
        noise_seed: of the camera noise.
    """

    size: tuple[int, int]
    frames: int
    objects: tuple[DrawnObject, ...]
    background: tuple[Texture, Texture]
    drift: tuple[float, float, float]
    light: tuple[float, float, float]
    noise: float
    noise_seed: int


def draw_scene(scene: SyntheticScene) -> DrawnScene:
    """Draw all numbers of a scene from its seed."""
    rng = np.random.default_rng(scene.seed)
    height, width = scene.size
    hue = float(rng.uniform())
    turn = float(rng.uniform(0, 2 * math.pi))
    depth = rng.permutation(scene.objects)
    objects = tuple(
        _draw_object(rng, scene, hue + 0.5 / scene.objects + k / scene.objects, turn, int(k))
        for k in depth
    )
    ground = float(rng.uniform())
    background = (
        _draw_texture(rng, "noise", ground, saturation=0.35),
        _draw_texture(rng, "spots", ground + float(rng.uniform(0.2, 0.8)), saturation=0.45),
    )
    way = float(rng.uniform(0, 2 * math.pi))
    reach = float(rng.uniform(0.03, 0.08)) * min(height, width)
    return DrawnScene(
        size=scene.size,
        frames=scene.frames,
        objects=objects,
        background=background,
        drift=(
            math.cos(way) * reach,
            math.sin(way) * reach,
            float(rng.uniform(-0.05, 0.05)),
        ),
        light=(scene.illumination, float(rng.uniform(0.3, 1)), float(rng.uniform(0, 6.28))),
        noise=scene.noise,
        noise_seed=int(rng.integers(2**31)),
    )


def _draw_object(
    rng: np.random.Generator, scene: SyntheticScene, hue: float, turn: float, place: int
) -> DrawnObject:
    """Draw one object: it enters from its own sector, so that the objects start apart."""
    height, width = scene.size
    short = min(scene.size)
    sector = 2 * math.pi / scene.objects
    direction = turn + sector * (place + float(rng.uniform(-0.08, 0.08)))
    reach = float(rng.uniform(0.30, 0.36))
    # The chord between two neighbours' starts bounds the radius.
    room = 0.38 * 2 * reach * math.sin(min(sector, math.pi) / 2)
    radius = short * min(scene.object_size * float(rng.uniform(0.85, 1.15)), room)
    bump = 0.24 / np.arange(2, 6) * rng.uniform(0.2, 1, 4)
    # More than two would pile up in one point.
    aside = rng.uniform(-0.35, 0.35, 2) * radius * (1 + 0.5 * max(scene.objects - 2, 0))
    kinds: tuple[TextureKind, ...] = ("stripes", "spots", "noise")
    kind = kinds[(place + int(rng.integers(2))) % 3]
    return DrawnObject(
        texture=_draw_texture(rng, kind, hue, saturation=float(rng.uniform(0.55, 0.9))),
        radius=radius,
        harmonics=tuple((float(a), float(rng.uniform(0, 6.28))) for a in bump),
        wobble=(scene.deformation, float(rng.uniform(0.6, 1.4)), float(rng.uniform(0, 6.28))),
        travel=(math.cos(direction) * reach * width, math.sin(direction) * reach * height),
        aside=(float(aside[0]), float(aside[1])),
        bow=float(rng.uniform(-0.1, 0.1)) * short,
        delay=float(rng.uniform(-0.12, 0.12)),
        spin=(float(rng.uniform(0, 6.28)), float(rng.uniform(-0.9, 0.9))),
        stretch=(
            float(rng.uniform(0.04, 0.15)),
            float(rng.uniform(0.4, 1)),
            float(rng.uniform(0, 6)),
        ),
    )


def _draw_texture(
    rng: np.random.Generator, kind: TextureKind, hue: float, *, saturation: float
) -> Texture:
    dark, light = float(rng.uniform(60, 120)), float(rng.uniform(150, 235))
    shift = float(rng.uniform(0.04, 0.14))
    return Texture(
        kind=kind,
        colours=(_colour(hue, saturation, dark), _colour(hue + shift, 0.7 * saturation, light)),
        cells=float(rng.uniform(5, 11)),
        angle=float(rng.uniform(0, math.pi)),
        seed=int(rng.integers(2**31)),
    )


def _colour(hue: float, saturation: float, value: float) -> Colour:
    """Convert a hue in turns, a saturation in [0, 1] and a value in [0, 255] to RGB."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return red, green, blue
