"""From a rough mask to one with exact outlines: the target network in a window, then the CRF."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vostrack.interactive.frame_maps import ClickNetworks
from vostrack.interactive.prompts import Click
from vostrack.models.target_net import Features
from vostrack.online_finetune.target.window import Window, WindowConfig, choose_window, mask_box
from vostrack.refine.dense_crf.sampled import SampledCrfRefiner

__all__ = ["OutlineFinder"]

# About the tracker's window; a rough mask is less certain than that of the frame before, but shows
# the whole object more often than it shows half of it.
_WINDOW = WindowConfig(pixels=300 * 300, grow=1.7, margin=40, step=32)
# Sides of a window lie on a grid of this many lines per frame, so that the features of a window
# serve for the next click, too, and the mask depends on the clicks alone.
_LINES = 12
_KEPT_WINDOWS = 4
# Share of the network's logit in the sum with that of the rough mask.
_SHARE = 0.8
# Logit at a click, and the radius of its place as a share of the window's shorter side.
_CERTAIN, _RADIUS = 6.0, 0.012


class OutlineFinder:
    """Finds exact outlines in one frame.

    Args:
        networks: the networks.
        image: (3, h, w) float in [0, 1], the frame at working size.
    """

    def __init__(self, networks: ClickNetworks, image: Tensor) -> None:
        self._network = networks.target
        self._image = image
        self._refiner = SampledCrfRefiner()
        self._windows: OrderedDict[Window, Features] = OrderedDict()

    def __call__(self, rough: Tensor, clicks: Sequence[Click]) -> Tensor:
        """Return the scores (h, w) in [0, 1] of the object.

        Args:
            rough: (h, w) logits of the rough mask, at the size of the image.
            clicks: with positions in the image.
        """
        box = mask_box(rough > 0)
        if box is None:
            return rough.sigmoid()
        size = rough.shape
        window = _on_lines(choose_window(box, size, _WINDOW), size)
        logits = self._segment(window, rough)
        x0, y0, x1, y1 = window.box
        part = _SHARE * logits + (1 - _SHARE) * rough[y0:y1, x0:x1]
        part = _clicked(part, [replace(c, x=c.x - x0, y=c.y - y0) for c in clicks])
        refined = self._refiner(self._image[:, y0:y1, x0:x1], part.sigmoid()[None])[0]
        scores = rough.sigmoid()
        scores[y0:y1, x0:x1] = refined
        return scores

    def _segment(self, window: Window, rough: Tensor) -> Tensor:
        """Return the network's logits in the window's box, after fitting it to the rough mask."""
        features = self._features(window)
        mask = window.crop(rough.sigmoid()[None, None])
        positions = window.positions(rough.device)
        memory = self._network.remember(features, mask, positions)
        box = mask_box(rough > 0)
        assert box is not None
        unit = _WINDOW.grow * max(box[2] - box[0], box[3] - box[1]) + _WINDOW.margin
        near = replace(memory, positions=memory.positions / unit)
        found = self._network(
            features,
            positions / unit,
            ([memory], [near]),
            memory.statistics,
            mask,
            mask.new_ones(1),
        )
        return window.spread(found.logits)[0, 0]

    def _features(self, window: Window) -> Features:
        features = self._windows.pop(window, None)
        if features is None:
            features = self._network.features(window.crop(self._image[None]))
        self._windows[window] = features
        if len(self._windows) > _KEPT_WINDOWS:
            self._windows.popitem(last=False)
        return features


def _on_lines(window: Window, size: Sequence[int]) -> Window:
    """Move the sides of a window outwards to the next lines."""
    height, width = size
    x0, y0, x1, y1 = window.box
    left, right = _outwards(x0, x1, width)
    top, bottom = _outwards(y0, y1, height)
    scale = min(np.sqrt(_WINDOW.pixels / ((right - left) * (bottom - top))), _WINDOW.magnify)
    rows, columns = (
        max(32, round(side * float(scale) / _WINDOW.step) * _WINDOW.step)
        for side in (bottom - top, right - left)
    )
    return Window((left, top, right, bottom), (rows, columns))


def _outwards(low: int, high: int, length: int) -> tuple[int, int]:
    step = max(1, -(-length // _LINES))
    return low // step * step, min(length, -(-high // step) * step)


def _clicked(logits: Tensor, clicks: Sequence[Click]) -> Tensor:
    """Return logits that agree with the clicks that lie in them."""
    height, width = logits.shape
    radius = max(2.0, _RADIUS * min(height, width))
    rows = torch.arange(height, device=logits.device)[:, None]
    columns = torch.arange(width, device=logits.device)
    result = logits.clone()
    for click in clicks:
        near = (rows - click.y).square() + (columns - click.x).square() <= radius**2
        result[near] = _CERTAIN if click.inside else -_CERTAIN
    return result


def spread_to(logits: Tensor, size: Sequence[int]) -> Tensor:
    """Scale a map (h, w) to another size."""
    return F.interpolate(
        logits[None, None], size=tuple(size), mode="bilinear", align_corners=False
    )[0, 0]
