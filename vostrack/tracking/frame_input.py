"""Checking the tracker's input and scaling it to the working size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, cast

import cv2
import numpy as np
import torch
from torch import Tensor

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.errors import InputError

__all__ = ["VOID", "check_frame", "check_mask", "resized", "working_image"]

VOID = 255
_Array = TypeVar("_Array", UInt8Array, FloatArray)


def check_frame(frame: UInt8Array) -> None:
    """Check that ``frame`` is an RGB image.

    Raises:
        InputError: it is not an array (H, W, 3) uint8.
    """
    shape = getattr(frame, "shape", None)
    if shape is None or len(shape) != 3 or shape[2] != 3 or frame.dtype != np.uint8:
        came = f"{frame.dtype} of shape {shape}" if shape is not None else type(frame).__name__
        raise InputError(
            f"frame: expected an array (H, W, 3) uint8 in RGB order, got {came}; convert grayscale "
            "with numpy.stack([gray] * 3, axis=-1), floats in [0, 1] with (x * 255).astype('uint8')"
        )


def check_mask(mask: UInt8Array, frame: UInt8Array) -> UInt8Array:
    """Check that ``mask`` is a valid first mask for ``frame``.

    Returns:
        The mask (H, W) as uint8.

    Raises:
        InputError: the size differs, the values are not integers, an id is outside 1..254, or
            there is no object.
    """
    if getattr(mask, "shape", None) != frame.shape[:2]:
        raise InputError(
            f"mask: expected (H, W) = {frame.shape[:2]} like the frame, "
            f"got {getattr(mask, 'shape', type(mask).__name__)}"
        )
    if mask.dtype != np.bool_ and not np.issubdtype(mask.dtype, np.integer):
        raise InputError(f"mask: expected integer object ids, got {mask.dtype}")
    if mask.min() < 0 or mask.max() > VOID:
        raise InputError(
            f"mask: expected ids in 1..254, 0 for background and 255 for void, got values "
            f"{int(mask.min())}..{int(mask.max())}"
        )
    labels = mask.astype(np.uint8)
    if not ((labels > 0) & (labels != VOID)).any():
        raise InputError(
            "mask: expected at least one object, got only background (0) or void (255)"
        )
    return labels


def working_image(frame: UInt8Array, max_size: int, device: torch.device) -> Tensor:
    """Scale a frame down so that its longer side is at most ``max_size`` pixels.

    Args:
        frame: (H, W, 3) uint8 RGB.
        max_size: limit in pixels; 0 for none.
        device: device of the result.

    Returns:
        (3, h, w) float32 in [0, 1].
    """
    height, width = frame.shape[:2]
    if max_size and max(height, width) > max_size:
        ratio = max_size / max(height, width)
        size = max(1, round(height * ratio)), max(1, round(width * ratio))
        frame = resized(frame, size, cv2.INTER_AREA)
    frame = np.ascontiguousarray(frame)
    if not frame.flags.writeable:
        frame = frame.copy()  # torch warns about memory that it must not write to
    tensor = torch.from_numpy(frame).to(device)
    return tensor.permute(2, 0, 1).float() / 255


def resized(array: _Array, size: Sequence[int], interpolation: int) -> _Array:
    """Resize an array (H, W) or (H, W, C) to ``size`` (h, w) and keep its dtype.

    Args:
        array: uint8 or float32.
        size: h and w, in pixels.
        interpolation: an OpenCV flag, such as ``cv2.INTER_NEAREST``.
    """
    return cast(_Array, cv2.resize(array, (size[1], size[0]), interpolation=interpolation))
