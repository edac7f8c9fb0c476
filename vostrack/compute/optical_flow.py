"""Optical flow between two frames: where each pixel was before, and how far that can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from vostrack.arrays import FloatArray, UInt8Array

__all__ = ["FlowField", "find_flow", "flow_between", "gray_bytes", "warped"]

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


@dataclass(frozen=True)
class FlowField:
    """Where the pixels of an image of h x w were in another of the same size.

    Attributes:
        x: (h, w) column of each pixel there, float32.
        y: (h, w) its row.
        trust: (h, w) in [0, 1]; 0 where it was outside, hidden, or another.
    """

    x: FloatArray
    y: FloatArray
    trust: FloatArray


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
    height, width = now.shape
    # The way forth only tells, to a pixel or two, whether the way back can be trusted.
    back, forth = flow_between(now, before), flow_between(before, now, smoothed=False)
    x: FloatArray = np.arange(width, dtype=np.float32) + back[..., 0]
    y: FloatArray = np.arange(height, dtype=np.float32)[:, None] + back[..., 1]
    seen = cv2.remap(before, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    difference = cv2.blur(cv2.absdiff(now, seen).astype(np.float32), (_SQUARE, _SQUARE))
    back += cv2.remap(forth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    missed = back[..., 0] ** 2 + back[..., 1] ** 2
    trust = np.exp(-((difference / _DIFFERENCE) ** 2) - missed / _RETURN**2)
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    return FlowField(x, y, trust * inside)


def warped(maps: FloatArray, flow: FlowField) -> FloatArray:
    """Move maps (N, h, w) of the earlier image to where its pixels are now: (N, h, w).

    What was outside of the image is 0.
    """
    return np.stack([cv2.remap(one, flow.x, flow.y, cv2.INTER_LINEAR) for one in maps])
