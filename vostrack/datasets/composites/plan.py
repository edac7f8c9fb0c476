"""Everything that was drawn of one clip: with the sources, enough to render it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "Backdrop",
    "Bend",
    "Colour",
    "CompositePlan",
    "Finish",
    "Layer",
    "Light",
    "Parts",
    "Pose",
    "Shadow",
    "Shape",
    "Smoke",
    "View",
]

Shape = Literal["matte", "bar", "blob"]


@dataclass(frozen=True)
class Pose:
    """Where a layer is in one frame.

    Attributes:
        x: column of its centre, pixels of the frame.
        y: row of its centre.
        scale: pixels of the frame per pixel of the layer.
        angle: clockwise rotation, radians.
    """

    x: float
    y: float
    scale: float
    angle: float = 0.0


@dataclass(frozen=True)
class View:
    """Which part of the background a frame shows.

    Attributes:
        zoom: at least 1; at 1 the background just covers the frame.
        x: -1 .. 1, from the left end of what can be shown to the right end.
        y: -1 .. 1, from the top to the bottom.
        angle: rotation, radians.
    """

    zoom: float = 1.0
    x: float = 0.0
    y: float = 0.0
    angle: float = 0.0


@dataclass(frozen=True)
class Backdrop:
    """The background of a clip.

    Attributes:
        name: of the background.
        indices: (T) frames of it.
        emptied: whether its annotated object is painted over.
        views: (T) what each frame shows.
        flip: mirrored horizontally.
        blur: standard deviation of its blur, pixels.
    """

    name: str
    indices: tuple[int, ...]
    emptied: bool
    views: tuple[View, ...]
    flip: bool = False
    blur: float = 0.0


@dataclass(frozen=True)
class Colour:
    """How a layer's colours are changed; the defaults change nothing.

    Attributes:
        hue: rotation of the colour plane, radians.
        saturation: factor on the distance to gray.
        gain: factor on all values.
        contrast: factor on the distance to the layer's own mean.
        harmony: share of the way that mean and contrast go towards those of the background.
    """

    hue: float = 0.0
    saturation: float = 1.0
    gain: float = 1.0
    contrast: float = 1.0
    harmony: float = 0.0


@dataclass(frozen=True)
class Bend:
    """A smooth displacement that changes over time.

    Attributes:
        amount: root mean square at the control points, as a share of half the longer side.
        seed: of the two fields between which it swings.
        phases: (T) radians, of the swing.
    """

    amount: float
    seed: int
    phases: tuple[float, ...]


@dataclass(frozen=True)
class Parts:
    """A cut through a layer whose halves move apart.

    Attributes:
        angle: direction of the cut's normal, radians.
        distances: (T) how far the halves are apart, as a share of half the longer side.
        spins: (T) rotation of the second half against the first, radians.
    """

    angle: float
    distances: tuple[float, ...]
    spins: tuple[float, ...]


@dataclass(frozen=True)
class Shadow:
    """A soft shadow on what lies behind a layer.

    Attributes:
        x: shift, as a share of the layer's size in the frame (square root of its area).
        y: the same.
        softness: standard deviation of its blur, the same.
        strength: 0..1, how much darker it is in the middle.
    """

    x: float
    y: float
    softness: float
    strength: float


@dataclass(frozen=True)
class Layer:
    """One pasted thing.

    Attributes:
        source: name of a photograph, or of a background for the other shapes.
        shape: "matte" is the photograph's object; "bar" and "blob" are cut out of a background.
        poses: (T) where it is.
        id: its value in the label maps, from 1 without a gap; 0 for what has no mask and hides what
            lies behind it.
        group: the same number, over 0, for layers that look alike.
        seed: of the shape, where it is drawn.
        flip: mirrored horizontally.
        colour: change of its colours.
        bend: or None.
        parts: or None.
        shadow: or None.
        feather: standard deviation of the edge's blur, pixels.
        shutter: how long it is open, as a share of the time between frames.
        anchored: whether it moves with the camera, too.
    """

    source: str
    shape: Shape
    poses: tuple[Pose, ...]
    id: int = 0
    group: int = 0
    seed: int = 0
    flip: bool = False
    colour: Colour = Colour()
    bend: Bend | None = None
    parts: Parts | None = None
    shadow: Shadow | None = None
    feather: float = 0.0
    shutter: float = 0.0
    anchored: bool = False


@dataclass(frozen=True)
class Smoke:
    """A veil in front of everything.

    Attributes:
        densities: (T) 0..1, opacity where it is thickest.
        gray: its colour, 0..255.
        seed: of its form.
        drift: (x, y) how far it goes from one frame to the next, shares of the frame's width.
        even: a haze without form.
    """

    densities: tuple[float, ...]
    gray: tuple[int, int, int]
    seed: int
    drift: tuple[float, float]
    even: bool


@dataclass(frozen=True)
class Light:
    """How the light changes.

    Attributes:
        gains: (T) factors of red, green and blue.
        gamma: exponent on values in 0..1; over 1 is darker.
        uneven: 0..1, strength of a soft pattern of light and shade that moves over the scene.
        seed: of the pattern.
    """

    gains: tuple[tuple[float, float, float], ...]
    gamma: float = 1.0
    uneven: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Finish:
    """What camera and coding do to whole frames.

    Attributes:
        noise: standard deviation, gray levels.
        noise_size: blur of the noise, pixels; 0 for none.
        blur: standard deviation of the frame's blur, pixels.
        h264: constant rate factor, or None.
        jpeg: quality 1..100, or None.
        seed: of the noise.
    """

    noise: float = 0.0
    noise_size: float = 0.0
    blur: float = 0.0
    h264: int | None = None
    jpeg: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class CompositePlan:
    """One clip.

    Attributes:
        size: H and W, pixels.
        backdrop: what lies behind everything.
        layers: from the farthest to the nearest.
        smokes: from the farthest to the nearest, all in front of the layers.
        light: of the whole scene.
        finish: camera and coding.
        tags: what was meant to happen, as far as masks do not tell.
    """

    size: tuple[int, int]
    backdrop: Backdrop
    layers: tuple[Layer, ...]
    smokes: tuple[Smoke, ...] = ()
    light: Light | None = None
    finish: Finish = Finish()
    tags: frozenset[str] = frozenset()

    @property
    def frames(self) -> int:
        """T."""
        return len(self.backdrop.indices)
