"""The window in which objects are searched, and what is known about it beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from vostrack.models.regions import Regions
from vostrack.online_finetune.target.cohorts import Cohorts
from vostrack.online_finetune.target.memory import TargetModelConfig, TrackedObjects
from vostrack.online_finetune.target.places import Place
from vostrack.online_finetune.target.window import (
    Window,
    WindowConfig,
    choose_regions,
    choose_shared_window,
    choose_window,
)

__all__ = [
    "View",
    "mirrored_window",
    "next_window",
    "object_regions",
    "units_of_distance",
    "window_around",
]

# An object whose longer side has fewer pixels in a window, 5 cells of the backbone, is small.
_SMALL = 80


@dataclass(frozen=True)
class View:
    """A window, and what is known about it before it is segmented.

    Attributes:
        image: (1, 3, H, W), in [0, 1] or bytes.
        places: (1, 2, h, w) positions of the cells, pixels of the frame.
        before: (N, 1, H, W) masks of the previous frame.
        regions: where each object can be; None for anywhere.
    """

    image: Tensor
    places: Tensor
    before: Tensor
    regions: Regions | None

    def mirrored(self) -> View:
        """Return the view mirrored left to right."""
        columns = self.places.shape[-1]
        regions = self.regions.mirrored(columns) if self.regions is not None else None
        return View(self.image.flip(-1), self.places.flip(-1), self.before.flip(-1), regions)


def window_around(
    places: Sequence[Place], smallest: int, size: Sequence[int], config: WindowConfig
) -> Window:
    """Return the window around all objects of ``smallest`` pixels; without any, of the frame.

    Args:
        places: of the objects.
        smallest: pixels.
        size: H and W of the frame.
        config: how windows are laid.
    """
    boxes = [p.box for p in places if p.box is not None and p.area >= smallest]
    return choose_shared_window(boxes, size, config)


def next_window(
    now: TrackedObjects | Cohorts, lost: bool, size: Sequence[int], config: TargetModelConfig
) -> Window:
    """Return the window of the next frame; at times the whole frame, if an object is lost."""
    if lost and (now.frames + 1) % config.search_every == 0:
        return choose_window(None, size, config.window)
    return window_around(now.places, config.smallest, size, config.window)


def mirrored_window(window: Window, places: Sequence[Place], config: TargetModelConfig) -> Window:
    """Return the window of the mirrored view: of another size, unless an object is small in it.

    Args:
        window: of the other view.
        places: of the objects.
        config: how objects are tracked.
    """
    per_pixel = window.size[1] / (window.box[2] - window.box[0])
    sides = [
        per_pixel * max(x1 - x0, y1 - y0)
        for x0, y0, x1, y1 in (p.box for p in places if p.box is not None)
    ]
    if config.mirror_scale == 1 or min(sides, default=0) < _SMALL:
        return window
    return window.scaled(config.mirror_scale, config.window.step)


def object_regions(
    places: Sequence[Place], window: Window, size: Sequence[int], config: WindowConfig
) -> Regions | None:
    """Return the part of a window for each object; see ``choose_regions``."""
    boxes = [place.box for place in places if place.box is not None]
    return choose_regions(window, boxes, size, config)


def units_of_distance(objects: TrackedObjects, config: WindowConfig) -> Tensor:
    """Return (N,) the unit of distance of each object: about the window it would have alone."""
    units = []
    for place in objects.places:
        x0, y0, x1, y1 = place.box or (0, 0, *objects.masks.shape[1:])
        units.append(config.grow * max(x1 - x0, y1 - y0) + config.margin)
    return objects.masks.new_tensor(units)
