"""Optical flow between two frames: where each pixel was before, and how far that can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch
from torch import Tensor

from vostrack.arrays import FloatArray, UInt8Array

__all__ = ["FlowField", "Part", "find_flow", "flow_between", "gray_bytes", "warped"]

# Shares of red, green and blue in the brightness (ITU-R BT.601).
_RED, _GREEN, _BLUE = 0.299, 0.587, 0.114
# A pixel is trusted to 1 / e where its surroundings differ in brightness by so many of 255, and
# where the way to the other frame and back ends so many pixels from it. On six DAVIS training
# sequences, forwards and backwards, 7 and 15 for the first lost 0.001 and 0.002 J&F and 25 lost
# 0.006; 1.5 pixels for the second lost 0.001.
_DIFFERENCE = 10.0
_RETURN = 2.0
# The pyramid has three levels, and patches of 8 pixels fit several times into the coarsest one, in
# images of at least so many pixels a side. Some smaller ones end the process.
_SMALLEST = 96
# Brightness is compared in squares of so many pixels: noise cancels out.
_SQUARE = 5


Part = tuple[slice, slice]
"""Rows and columns of a map, none of them open."""


@dataclass(frozen=True)
class FlowField:
    """Where the pixels of an image of h x w were in another of the same size.

    Attributes:
        back: (h, w, 2) float32, x and y of the way from each pixel to its place there.
        forth: (h, w, 2) float32, the way from each pixel of the other image, roughly.
        images: (h, w) gray bytes of both, this one first.
    """

    back: FloatArray
    forth: FloatArray
    images: tuple[UInt8Array, UInt8Array]

    @cached_property
    def x(self) -> FloatArray:
        """(h, w) column of each pixel in the other image."""
        found: FloatArray = np.arange(self.back.shape[1], dtype=np.float32) + self.back[..., 0]
        return found

    @cached_property
    def y(self) -> FloatArray:
        """(h, w) its row."""
        rows = np.arange(len(self.back), dtype=np.float32)[:, None]
        found: FloatArray = rows + self.back[..., 1]
        return found

    @property
    def trust(self) -> FloatArray:
        """(h, w) in [0, 1]; 0 where a pixel was outside, hidden, or another."""
        return self.trust_in(self._whole)

    def trust_in(self, part: Part) -> FloatArray:
        """Return ``trust`` of a part of the image only, which takes less time."""
        (height, width), (now, before) = self.x.shape, self.images
        rows, columns = part
        # What the squares around the pixels see.
        around = (
            slice(max(0, rows.start - _SQUARE), rows.stop + _SQUARE),
            slice(max(0, columns.start - _SQUARE), columns.stop + _SQUARE),
        )
        x, y = self.x[around], self.y[around]
        seen = cv2.remap(before, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        apart = cv2.absdiff(now[around], seen).astype(np.float32)
        top, left = rows.start - around[0].start, columns.start - around[1].start
        difference = cv2.blur(apart, (_SQUARE, _SQUARE))[top:, left:]
        x, y = self.x[part], self.y[part]
        difference = difference[: len(x), : x.shape[1]]
        forth = cv2.remap(self.forth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        missed = self.back[part] + forth
        squares = missed[..., 0] ** 2 + missed[..., 1] ** 2
        trust = np.exp(-((difference / _DIFFERENCE) ** 2) - squares / _RETURN**2)
        inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
        trusted: FloatArray = trust * inside
        return trusted

    def reach(self, part: Part) -> Part | None:
        """Return where the pixels of a part of the other image can be in this one; None: nowhere.

        It is told by the rows and columns alone, so it may be more than they fill.
        """
        spans = []
        for (least, most), span in zip(self._ends, reversed(part), strict=True):
            # Linear interpolation sees the next pixel, and rounds places a little.
            meets = np.flatnonzero((most > span.start - 2) & (least < span.stop + 1))
            if not len(meets):
                return None
            spans.append(slice(int(meets[0]), int(meets[-1]) + 1))
        return spans[1], spans[0]

    @cached_property
    def _ends(self) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
        """The least and the largest x of each column, and y of each row."""
        return (self.x.min(0), self.x.max(0)), (self.y.min(1), self.y.max(1))

    @property
    def _whole(self) -> Part:
        height, width = self.x.shape
        return slice(0, height), slice(0, width)


def gray_bytes(image: Tensor) -> Tensor:
    """Return the brightness of an image (3, h, w) in [0, 1] as bytes (h, w), on the CPU."""
    red, green, blue = image.detach().float().cpu().numpy()
    gray = cv2.addWeighted(red, 255 * _RED, green, 255 * _GREEN, 0.0)
    return torch.from_numpy(cv2.convertScaleAbs(cv2.scaleAdd(blue, 255 * _BLUE, gray)))


def flow_between(first: UInt8Array, second: UInt8Array, *, smoothed: bool = True) -> FloatArray:
    """Compute the flow from one image to another: dense inverse search (Kroeger et al., ECCV 2016).

    Args:
        first: (h, w) gray.
        second: (h, w) gray.
        smoothed: refine the result by smoothness, which takes half of the time.

    Returns:
        (h, w, 2) float32, x and y: pixel p of the first image is at p + flow(p) in the second.
    """
    height, width = first.shape
    size = max(width, _SMALLEST), max(height, _SMALLEST)
    if size != (width, height):
        # The search needs more room.
        first, second = np.stack([cv2.resize(image, size) for image in (first, second)])
    # A search of its own for each call: its buffers must not be shared by threads. The next better
    # preset takes four times the time, and gained 0.002 J&F at most on training sequences.
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    if not smoothed:
        search.setVariationalRefinementIterations(0)
    flow = np.asarray(search.calc(first, second, None), np.float32)  # type: ignore[call-overload]
    if size == (width, height):
        return flow
    smaller: FloatArray = np.empty((height, width, 2), np.float32)
    cv2.resize(flow, (width, height), dst=smaller, interpolation=cv2.INTER_AREA)
    return smaller * np.array([width / size[0], height / size[1]], np.float32)


def find_flow(now: UInt8Array, before: UInt8Array) -> FlowField:
    """Find where each pixel was before, and how far that can be trusted.

    Args:
        now: (h, w) gray.
        before: (h, w) gray, the earlier image.
    """
    # The way forth only tells, to a pixel or two, whether the way back can be trusted.
    back, forth = flow_between(now, before), flow_between(before, now, smoothed=False)
    return FlowField(back, forth, (now, before))


def warped(maps: FloatArray, flow: FlowField, part: Part | None = None) -> FloatArray:
    """Move maps (N, h, w) of the earlier image to where its pixels are now: (N, h, w).

    What was outside of the image is 0.

    Args:
        maps: of the earlier image.
        flow: from the later image to it.
        part: the rows and columns to return; None for all.
    """
    x, y = (flow.x, flow.y) if part is None else (flow.x[part], flow.y[part])
    return np.stack([cv2.remap(one, x, y, cv2.INTER_LINEAR) for one in maps])
