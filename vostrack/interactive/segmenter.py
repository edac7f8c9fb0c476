"""The mask of an object from clicks and a box."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
import torch
from torch import Tensor

from vostrack.arrays import BoolArray, FloatArray, UInt8Array
from vostrack.compute.isolation import building, own_settings
from vostrack.compute.precision import resolve_device
from vostrack.interactive.corrections import PRIOR_LIMIT, changed_near
from vostrack.interactive.cues import rough_logits
from vostrack.interactive.frame_maps import ClickNetworks, frame_maps, load_networks
from vostrack.interactive.outline import OutlineFinder, spread_to
from vostrack.interactive.prompts import Box, Click, box_clicks, check_prompts
from vostrack.interactive.retouch import (
    ALLOWED,
    local_change,
    mask_logits,
    separate_piece,
    with_change,
)
from vostrack.tracking.frame_input import check_frame, working_image

__all__ = ["ClickFrame", "ClickSegmenter", "segment_clicks"]

# Longer side of the image in which outlines are found; the tracker's presets have the same.
_WORKING_SIZE = 854
# Logit outside of a box.
_NOWHERE = -6.0
# Scores are kept this far from 0 and 1 when they become logits.
_SUREST, _UNSURE = 1e-3, 1e-2
_KEPT_ANSWERS = 64
# A box, how many clicks count as one, and all clicks.
_Question = tuple[Box | None, int, tuple[Click, ...]]


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
            RuntimeError: a forked child would hang; see ``docs/promises.md``.
        """
        on = resolve_device(device)
        with building():
            self._networks = load_networks(on)

    def open(self, frame: UInt8Array) -> ClickFrame:
        """Prepare a frame for clicks. It takes longer than a click.

        Args:
            frame: (H, W, 3) uint8 RGB.

        Raises:
            InputError: the frame is malformed.
        """
        check_frame(frame)
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
        # What earlier questions gave: each click starts from the mask before it.
        self._known: OrderedDict[_Question, FloatArray] = OrderedDict()
        # The last mask that was changed, the clicks, and what it became.
        self._edit: tuple[BoolArray, tuple[Click, ...], BoolArray] | None = None

    def segment(
        self, clicks: Sequence[Click], box: Box | None = None, *, start: BoolArray | None = None
    ) -> BoolArray:
        """Return the mask (H, W) bool of the object.

        Every piece of it holds a click inside the object; with a box and no such click, the
        largest piece in the box is taken. With a mask to start from, each click changes the part
        of it at the click, and nothing far away.

        Args:
            clicks: in the order in which they were made.
            box: x0, y0, x1, y1 around the object, the end exclusive; nothing lies outside of it.
            start: (H, W) bool, the mask to change, such as a tracked one; None for none.

        Raises:
            InputError: a click or the box lies outside the frame, the box is empty, ``start`` is
                no mask of the frame or comes with a box, or nothing says where the object is.
        """
        check_prompts(clicks, box, self._size, start)
        with own_settings(self._device), torch.inference_mode():
            if start is not None and start.any():
                return self._retouched(start, tuple(clicks))
            scores = self._scores(clicks, box)
        mask = scores > 0.5
        if box is not None:
            mask &= _inside(box, self._size)
        return _pieces(mask, clicks)

    def _retouched(self, start: BoolArray, clicks: tuple[Click, ...]) -> BoolArray:
        """Return a mask with clicks taken up, one after the other."""
        mask, done = start.copy(), 0
        if self._edit is not None:
            known_start, known_clicks, known = self._edit
            if clicks[: len(known_clicks)] == known_clicks and np.array_equal(known_start, start):
                mask, done = known, len(known_clicks)
        for count in range(done + 1, len(clicks) + 1):
            mask = self._retouch(mask, clicks[:count])
        self._edit = start.copy(), clicks, mask
        return mask.copy()

    def _retouch(self, mask: BoolArray, clicks: tuple[Click, ...]) -> BoolArray:
        """Return the mask with the last click taken up."""
        last = clicks[-1]
        if mask[last.y, last.x] == last.inside:
            return mask
        if not last.inside and (piece := separate_piece(mask, clicks)) is not None:
            return mask & ~piece
        before = mask_logits(mask, self._maps.size)
        change = local_change(self._maps, self._on_grid(clicks, self._maps.size), before)
        rough = before + change if last.inside else before - change
        found = self._outlined(rough, self._on_grid(clicks, self._working))
        allowed = self._full_size(torch.from_numpy(change)) > ALLOWED
        return with_change(mask, self._full_size(found) > 0.5, allowed, last)

    def _scores(self, clicks: Sequence[Click], box: Box | None) -> FloatArray:
        """Return the scores (H, W), click after click; those of a box count as one."""
        given = tuple(clicks)
        together = 1
        if box is not None:
            around = box_clicks(box, self._size)
            given = (*(around if not _any_inside(given) else around[1:]), *given)
            together = max(1, len(given) - len(clicks))
        # The weights of a first click know nothing of places outside, so it is one inside.
        first = next(click for click in given if click.inside)
        ordered = (first, *(click for click in given if click is not first))
        before: FloatArray | None = None
        earlier = [n for n in (1, *range(max(2, together), len(ordered))) if n < len(ordered)]
        for count in earlier:
            key = box, together, ordered[:count]
            if key not in self._known:
                self._keep(key, self._answer(ordered[:count], box, before, count > together))
            before = self._known[key]
        scores = self._answer(ordered, box, before, len(ordered) > together)
        self._keep((box, together, ordered), scores)
        return self._full_size(scores)

    def _full_size(self, values: Tensor) -> FloatArray:
        full: FloatArray = spread_to(values, self._size).cpu().numpy()
        return full

    def _answer(
        self, clicks: tuple[Click, ...], box: Box | None, before: FloatArray | None, later: bool
    ) -> Tensor:
        """Return the scores (h, w) at working size.

        Args:
            clicks: the first of them, in order.
            box: of the question.
            before: (rows, columns) logits of the answer without the last click; None for the first.
            later: whether the last click corrects that answer.
        """
        on_grid = self._on_grid(clicks, self._maps.size)
        rough = rough_logits(self._maps, on_grid, before)
        if later and before is not None:
            rough = np.float32(0.5) * (rough + changed_near(self._maps, on_grid, before))
        if box is not None:
            rough = np.where(self._cells_of(box) > 0, rough, _NOWHERE).astype(np.float32)
        return self._outlined(rough, self._on_grid(clicks, self._working))

    def _outlined(self, rough: FloatArray, on_image: Sequence[Click]) -> Tensor:
        """Return the scores (h, w) at working size of a rough mask, logits on the grid."""
        logits = spread_to(torch.from_numpy(rough).to(self._device), self._working)
        scores = self._outlines(logits, on_image)
        # The network is fitted again, to what it found: it saw a rough mask at first.
        found = scores.clamp(_UNSURE, 1 - _UNSURE).logit()
        return self._outlines((found + logits) / 2, on_image)

    def _keep(self, question: _Question, scores: Tensor) -> None:
        self._known[question] = self._on_cells(scores)
        if len(self._known) > _KEPT_ANSWERS:
            self._known.popitem(last=False)

    def _on_cells(self, scores: Tensor) -> FloatArray:
        """Return scores at working size as logits on the grid of the cues."""
        logits = scores.clamp(_SUREST, 1 - _SUREST).logit().cpu().numpy()
        rows, columns = self._maps.size
        small = cv2.resize(logits, (columns, rows), interpolation=cv2.INTER_AREA)
        return np.clip(small, -PRIOR_LIMIT, PRIOR_LIMIT).astype(np.float32)

    def _cells_of(self, box: Box) -> UInt8Array:
        rows, columns = self._maps.size
        inside = _inside(box, self._size).astype(np.uint8)
        return np.asarray(
            cv2.resize(inside, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8
        )

    def _on_grid(self, clicks: Sequence[Click], size: tuple[int, ...]) -> list[Click]:
        """Return the clicks with positions in a map of ``size`` = h and w."""
        (height, width), (rows, columns) = self._size, size
        return [replace(c, x=c.x * columns // width, y=c.y * rows // height) for c in clicks]


def segment_clicks(
    frame: UInt8Array,
    clicks: Sequence[Click],
    box: Box | None = None,
    *,
    start: BoolArray | None = None,
    device: str = "auto",
) -> BoolArray:
    """Return the mask of the object that was clicked on.

    For several questions about one frame, use ``ClickSegmenter``, which prepares the frame once.

    Args:
        frame: (H, W, 3) uint8 RGB.
        clicks: places inside the object and outside, in the order in which they were made.
        box: x0, y0, x1, y1 around the object, the end exclusive; nothing lies outside of it.
        start: (H, W) bool, the mask to change, such as a tracked one; None for none.
        device: ``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:N``.

    Returns:
        The mask (H, W) bool.

    Raises:
        InputError: the frame is malformed, a click or the box lies outside of it, the box is
            empty, ``start`` is no mask of the frame or comes with a box, nothing says
            where the object is, or there is no such device.
    """
    return _segmenter(device).open(frame).segment(clicks, box, start=start)


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
