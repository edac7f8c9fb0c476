"""The mask of an object from clicks and a box."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
import torch

from vostrack.arrays import BoolArray, FloatArray, UInt8Array
from vostrack.compute.isolation import check_not_forked, own_settings
from vostrack.compute.precision import resolve_device
from vostrack.interactive.cues import rough_logits
from vostrack.interactive.frame_maps import ClickNetworks, frame_maps, load_networks
from vostrack.interactive.outline import OutlineFinder, spread_to
from vostrack.interactive.prompts import Box, Click, box_clicks, check_prompts
from vostrack.tracking.frame_input import check_frame, working_image

__all__ = ["ClickFrame", "ClickSegmenter", "segment_clicks"]

# Longer side of the image in which outlines are found; the tracker's presets have the same.
_WORKING_SIZE = 854
# Logit outside of a box.
_NOWHERE = -6.0
_KEPT_ANSWERS = 64


class ClickSegmenter:
    """Makes masks from clicks. It holds the networks; ``open`` takes a frame.

    Args:
        device: ``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:N``.

    Example:
        >>> frame = ClickSegmenter().open(image)                           # doctest: +SKIP
        >>> mask = frame.segment([Click(320, 180)])                        # doctest: +SKIP
        >>> mask = frame.segment([Click(320, 180), Click(9, 9, False)])    # doctest: +SKIP
    """

    def __init__(self, device: str = "auto") -> None:
        """Load the networks that are shipped with the package.

        Raises:
            InputError: there is no such device.
        """
        self._networks = load_networks(resolve_device(device))

    def open(self, frame: UInt8Array) -> ClickFrame:
        """Prepare a frame for clicks. It takes longer than a click.

        Args:
            frame: (H, W, 3) uint8 RGB.

        Raises:
            InputError: the frame is malformed.
        """
        check_frame(frame)
        check_not_forked()
        with own_settings(self._networks.device), torch.inference_mode():
            return ClickFrame(self._networks, frame)


class ClickFrame:
    """A frame whose objects are clicked on; ``ClickSegmenter.open`` makes it.

    The mask depends on the clicks and their order, not on what was asked before.
    """

    def __init__(self, networks: ClickNetworks, frame: UInt8Array) -> None:
        self._device = networks.device
        self._size: tuple[int, int] = (frame.shape[0], frame.shape[1])
        self._maps = frame_maps(networks, frame)
        image = working_image(frame, _WORKING_SIZE, networks.device)
        self._working: tuple[int, int] = (image.shape[1], image.shape[2])
        self._outlines = OutlineFinder(networks, image)
        # Rough logits of earlier questions: each click starts from the answer before it.
        self._known: OrderedDict[tuple[int, tuple[Click, ...]], FloatArray] = OrderedDict()

    def segment(self, clicks: Sequence[Click], box: Box | None = None) -> BoolArray:
        """Return the mask (H, W) bool of the object.

        Every piece of it holds a click inside the object; with a box and no such click, the
        largest piece in the box is taken.

        Args:
            clicks: in the order in which they were made.
            box: x0, y0, x1, y1 around the object, the end exclusive; nothing lies outside of it.

        Raises:
            InputError: a click or the box lies outside the frame, the box is empty, or nothing
                says where the object is.
        """
        check_prompts(clicks, box, self._size)
        with own_settings(self._device), torch.inference_mode():
            scores = self._scores(clicks, box)
        mask = scores > 0.5
        if box is not None:
            mask &= _inside(box, self._size)
        return _pieces(mask, clicks)

    def _scores(self, clicks: Sequence[Click], box: Box | None) -> FloatArray:
        given = tuple(clicks)
        if box is not None:
            around = box_clicks(box, self._size)
            given = (*(around if not _any_inside(given) else around[1:]), *given)
        rough = self._rough(given, len(given) - len(clicks))
        if box is not None:
            rows, columns = rough.shape
            inside = cv2.resize(
                _inside(box, self._size).astype(np.uint8),
                (columns, rows),
                interpolation=cv2.INTER_AREA,
            )
            rough = np.where(inside > 0, rough, _NOWHERE).astype(np.float32)
        logits = spread_to(torch.from_numpy(rough).to(self._device), self._working)
        scores = self._outlines(logits, self._on_grid(given, self._working))
        full: FloatArray = spread_to(scores, self._size).cpu().numpy()
        return full

    def _rough(self, clicks: tuple[Click, ...], together: int) -> FloatArray:
        """Return the rough logits, click after click; the first ``together`` count as one."""
        first = next(click for click in clicks if click.inside)
        # The weights of a first click know nothing of places outside, so it is one inside.
        ordered = (first, *(click for click in clicks if click is not first))
        on_grid = self._on_grid(ordered, self._maps.foreground.shape)
        logits: FloatArray | None = None
        for count in (1, *range(max(2, together), len(ordered) + 1)):
            key = together, ordered[:count]
            if key not in self._known:
                self._known[key] = rough_logits(self._maps, on_grid[:count], logits)
                if len(self._known) > _KEPT_ANSWERS:
                    self._known.popitem(last=False)
            logits = self._known[key]
        assert logits is not None
        return logits

    def _on_grid(self, clicks: Sequence[Click], size: tuple[int, ...]) -> list[Click]:
        """Return the clicks with positions in a map of ``size`` = h and w."""
        (height, width), (rows, columns) = self._size, size
        return [replace(c, x=c.x * columns // width, y=c.y * rows // height) for c in clicks]


def segment_clicks(
    frame: UInt8Array, clicks: Sequence[Click], box: Box | None = None, *, device: str = "auto"
) -> BoolArray:
    """Return the mask of the object that was clicked on.

    For several questions about one frame, use ``ClickSegmenter``, which prepares the frame once.

    Args:
        frame: (H, W, 3) uint8 RGB.
        clicks: places inside the object and outside, in the order in which they were made.
        box: x0, y0, x1, y1 around the object, the end exclusive; nothing lies outside of it.
        device: ``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:N``.

    Returns:
        The mask (H, W) bool.

    Raises:
        InputError: the frame is malformed, a click or the box lies outside of it, the box is
            empty, nothing says where the object is, or there is no such device.
    """
    return _segmenter(device).open(frame).segment(clicks, box)


@lru_cache(maxsize=1)
def _segmenter(device: str) -> ClickSegmenter:
    return ClickSegmenter(device)


def _any_inside(clicks: Sequence[Click]) -> bool:
    return any(click.inside for click in clicks)


def _inside(box: Box, size: tuple[int, int]) -> BoolArray:
    x0, y0, x1, y1 = box
    inside = np.zeros(size, np.bool_)
    inside[y0:y1, x0:x1] = True
    return inside


def _pieces(mask: BoolArray, clicks: Sequence[Click]) -> BoolArray:
    """Return the pieces that hold a click inside; without such a click, the largest."""
    count, pieces, sizes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count < 2:
        return mask
    wanted = [int(pieces[c.y, c.x]) for c in clicks if c.inside]
    if not wanted:
        wanted = [1 + int(sizes[1:, cv2.CC_STAT_AREA].argmax())]
    kept: BoolArray = np.isin(pieces, [piece for piece in wanted if piece])
    return kept
