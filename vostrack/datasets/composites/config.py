"""How composed clips are drawn: ranges, and shares of clips in which something happens."""

from __future__ import annotations

from dataclasses import dataclass

from vostrack.checks import check_at_least, check_fraction
from vostrack.errors import InputError

__all__ = ["TAGS", "CompositeConfig"]

TAGS = (
    "bending",
    "camera",
    "crossing",
    "edge",
    "exit",
    "growth",
    "haze",
    "light",
    "look-alike",
    "low-light",
    "motion-blur",
    "occlusion",
    "parts",
    "real-clip",
    "shadow",
    "small",
    "smoke",
)
"""What a clip may be said to hold.

Read off the true masks: "crossing" (two objects touch after the first frame), "edge" (the frame's
edge cuts an object in the first frame), "exit" (an object is wholly outside, and back in the last
frame of three or more), "occlusion" (over 40 % of an object is newly hidden), "small" (an object
under 1 % of the first frame). The others were drawn so; "growth" is a factor of two and more in
length, or a half and less.
"""


@dataclass(frozen=True)
class CompositeConfig:
    """Ranges and shares of composed clips.

    A range is (lowest, highest), drawn uniformly unless said otherwise. A share is a probability,
    0..1, per clip unless said otherwise.

    Attributes:
        size: H and W, pixels, at least 32 and even (H.264 needs that).
        frames: T.
        objects: N, the objects with a mask; fewer where some cannot be seen in the first frame.
        clutter: pasted things without a mask, so that being pasted gives nothing away.
        area: of an object in the first frame, as a share of the frame; drawn uniformly in its
            logarithm.
        travel: how far an object goes over the clip, as a share of the frame's diagonal; drawn
            uniformly in its logarithm.
        turn: largest rotation of an object over the clip, degrees.
        scale_change: largest factor by which an object grows or shrinks in an ordinary clip.
        growth: share of objects that grow or shrink far more than that.
        largest_growth: largest factor of these, in length.
        bending: share of objects whose outline bends.
        largest_bend: largest displacement, as a share of half the object's longer side.
        parts: share of objects that come apart in two.
        look_alike: share of clips with a second specimen of an object, a little recoloured.
        resembling: share of these in which it is of another photograph that resembles the first;
            in the others it is of the same one.
        crossing: share of clips in which two objects touch or pass over each other.
        exit: share of clips in which an object leaves and, where there are enough frames, returns.
        occluder: share of clips with something in front of an object.
        edge: share of objects that the frame's edge cuts from the start.
        moving_background: share of clips over real video, where the sources have any.
        emptied: share of annotated stills from which the object is painted over; it stays as
            clutter in the others.
        camera: share of clips with a moving camera.
        anchored: share of objects that move with the camera.
        shadow: share of objects that cast one.
        haze: share of clips with an even veil.
        smoke: share of clips with drifting smoke in front of everything.
        light: share of clips whose light changes over time.
        low_light: share of dark clips.
        noise: standard deviation of sensor noise, gray levels; four times as much in dark clips.
        motion_blur: share of clips with an open shutter.
        defocus: share of clips with a blurred background or a blurred frame.
        harmony: share of objects whose colours are drawn towards those of the background.
        feather: standard deviation of an edge's blur, pixels.
        h264: share of clips that go through H.264.
        jpeg: share of clips that go through JPEG.
        least_visible: area of an object in the first frame under which it gets no mask, as a share
            of the frame.
        demanded: tags that a clip must have; it is drawn anew until it does.
    """

    size: tuple[int, int] = (384, 384)
    frames: tuple[int, int] = (3, 8)
    objects: tuple[int, int] = (1, 6)
    clutter: tuple[int, int] = (0, 2)
    area: tuple[float, float] = (0.005, 0.6)
    travel: tuple[float, float] = (0.02, 0.8)
    turn: float = 60.0
    scale_change: float = 1.5
    growth: float = 0.12
    largest_growth: float = 8.0
    bending: float = 0.5
    largest_bend: float = 0.12
    parts: float = 0.06
    look_alike: float = 0.45
    resembling: float = 0.3
    crossing: float = 0.4
    exit: float = 0.2
    occluder: float = 0.3
    edge: float = 0.12
    moving_background: float = 0.35
    emptied: float = 0.5
    camera: float = 0.6
    anchored: float = 0.5
    shadow: float = 0.35
    haze: float = 0.12
    smoke: float = 0.15
    light: float = 0.3
    low_light: float = 0.12
    noise: tuple[float, float] = (0.0, 6.0)
    motion_blur: float = 0.35
    defocus: float = 0.25
    harmony: float = 0.5
    feather: tuple[float, float] = (0.0, 1.3)
    h264: float = 0.35
    jpeg: float = 0.3
    least_visible: float = 0.001
    demanded: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: a value is out of its range.
        """
        if min(self.size) < 32 or self.size[0] % 2 or self.size[1] % 2:
            raise InputError(f"size: expected even sides of at least 32 pixels, got {self.size}")
        limits: dict[str, tuple[float, float]] = {
            "frames": (1, 10_000),
            "objects": (1, 32),
            "clutter": (0, 32),
            "area": (1e-5, 1),
            "travel": (1e-6, 4),
            "noise": (0, 64),
            "feather": (0, 16),
        }
        for name, (low, high) in limits.items():
            lowest, highest = getattr(self, name)
            if not low <= lowest <= highest <= high:
                raise InputError(
                    f"{name}: expected {low} <= lowest <= highest <= {high}, "
                    f"got ({lowest}, {highest})"
                )
        check_at_least(self, {"turn": 0, "scale_change": 1, "largest_growth": 1})
        check_fraction(
            self, "growth", "bending", "largest_bend", "parts", "look_alike", "crossing", "exit"
        )
        check_fraction(
            self, "occluder", "edge", "moving_background", "emptied", "camera", "anchored"
        )
        check_fraction(
            self, "shadow", "haze", "smoke", "resembling", "light", "low_light", "motion_blur"
        )
        check_fraction(self, "defocus", "harmony", "h264", "jpeg", "least_visible")
        unknown = [tag for tag in self.demanded if tag not in TAGS]
        if unknown:
            raise InputError(f"demanded: expected tags of {', '.join(TAGS)}, got {unknown[0]!r}")
