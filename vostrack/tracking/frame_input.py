"""Checking the tracker's input and scaling it to the working size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar, cast

import cv2
import numpy as np
import torch
from torch import Tensor

from vostrack.arrays import BoolArray, FloatArray, UInt8Array
from vostrack.errors import InputError
from vostrack.masks import FirstMask
from vostrack.tracking.input_hints import (
    frame_hint,
    kind_of,
    mask_hint,
    mask_shape_hint,
    source_hint,
)

__all__ = [
    "VOID",
    "Channels",
    "as_image",
    "check_channels",
    "check_frame",
    "check_ids",
    "check_mask",
    "check_source",
    "in_rgb",
    "resized",
    "shifted",
    "working_frame",
    "working_image",
]

VOID = 255
Channels = Literal["rgb", "bgr"]
_Array = TypeVar("_Array", UInt8Array, FloatArray)


def check_frame(frame: UInt8Array) -> None:
    """Check that ``frame`` is an RGB image.

    Raises:
        InputError: it is not an array (H, W, 3) uint8.
    """
    shape = getattr(frame, "shape", None)
    array = isinstance(frame, np.ndarray)
    if array and frame.ndim == 3 and frame.shape[2] == 3 and frame.dtype == np.uint8 and frame.size:
        return
    came = f"{frame.dtype} of shape {tuple(frame.shape)}" if shape is not None else kind_of(frame)
    raise InputError(
        f"frame: expected an array (H, W, 3) uint8 in RGB order, got {came}; {frame_hint(frame)}"
    )


def check_source(source: object) -> None:
    """Check that frames can be read from ``source`` by their numbers.

    Raises:
        InputError: it is no ``FrameSource``.
    """
    # Not by its class: an editor may have a source of its own.
    if not all(hasattr(source, name) for name in ("indices", "read", "name")):
        raise InputError(
            f"source: expected frames as `vostrack.open_source` returns them, got "
            f"{kind_of(source)}; {source_hint(source)}"
        )


def in_rgb(frame: UInt8Array, channels: Channels) -> UInt8Array:
    """Return a frame in RGB order.

    Args:
        frame: (H, W, 3) uint8.
        channels: the order that it has.

    Raises:
        InputError: an unknown order, or the frame is no image.
    """
    check_channels(channels)
    if channels == "rgb":
        return frame
    check_frame(frame)
    return np.ascontiguousarray(frame[..., ::-1])


def check_channels(channels: object) -> None:
    """Check the order of the colours in a frame.

    Raises:
        InputError: it is neither ``rgb`` nor ``bgr``.
    """
    if channels not in ("rgb", "bgr"):
        raise InputError(f"channels: expected rgb or bgr, got {channels!r}")


def shifted(mask: BoolArray, dx: int, dy: int) -> BoolArray:
    """Move a mask (H, W) bool to the right and down; what leaves the frame is lost."""
    height, width = mask.shape
    moved = np.zeros_like(mask)
    if abs(dx) < width and abs(dy) < height:
        rows, columns = (
            slice(max(0, dy), height + min(0, dy)),
            slice(max(0, dx), width + min(0, dx)),
        )
        source = mask[max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)]
        moved[rows, columns] = source
    return moved


def check_mask(
    mask: UInt8Array | FirstMask, frame: UInt8Array, *, may_be_empty: bool = False
) -> UInt8Array:
    """Check that ``mask`` is a valid mask of objects in ``frame``.

    Args:
        mask: (H, W) integers or bool, or what ``read_first_mask`` returned.
        frame: (H, W, 3) uint8 RGB.
        may_be_empty: whether a mask without an object is valid.

    Returns:
        The mask (H, W) as uint8.

    Raises:
        InputError: the size differs, the values are not integers, an id is outside 1..254, or
            there is no object where there must be one.
    """
    labels = check_ids(mask, frame.shape[:2])
    if not may_be_empty and not ((labels > 0) & (labels != VOID)).any():
        remedy = (
            "255 is void, not white: pass mask > 0 for one object, or let "
            "`vostrack.masks.check_first_mask` read the mask"
            if (labels == VOID).any()
            else "mark an object with an id in 1..254"
        )
        raise InputError(
            f"mask: expected at least one object, got only background (0) or void (255); {remedy}"
        )
    return labels


def check_ids(mask: UInt8Array | FirstMask, size: tuple[int, ...] | None = None) -> UInt8Array:
    """Check that ``mask`` holds object ids.

    Args:
        mask: (H, W) integers or bool, or what ``read_first_mask`` returned.
        size: H and W of the frame, if known.

    Returns:
        The mask (H, W) as uint8, a copy.

    Raises:
        InputError: the size differs, the values are not integers, or an id is outside 1..254.
    """
    if isinstance(mask, FirstMask):
        mask = mask.labels
    if not isinstance(mask, np.ndarray):
        wanted = "(H, W)" if size is None else f"(H, W) = {size}"
        raise InputError(
            f"mask: expected an array {wanted} of object ids, got {kind_of(mask)}; "
            f"{mask_hint(mask)}"
        )
    if mask.ndim != 2 or mask.shape != (size or mask.shape):
        wanted = "" if size is None else f" = {size} like the frame"
        raise InputError(
            f"mask: expected (H, W){wanted}, got {mask.shape}; "
            f"{mask_shape_hint(mask.shape, size or mask.shape[:2])}"
        )
    if mask.dtype != np.bool_ and not np.issubdtype(mask.dtype, np.integer):
        raise InputError(
            f"mask: expected integer object ids, got {mask.dtype}; convert ids with "
            ".astype('uint8'), or compare probabilities with a threshold"
        )
    if mask.min() < 0 or mask.max() > VOID:
        raise InputError(
            f"mask: expected ids in 1..254, 0 for background and 255 for void, got values "
            f"{int(mask.min())}..{int(mask.max())}; renumber the objects"
        )
    return mask.astype(np.uint8)


def working_frame(frame: UInt8Array, max_size: int) -> UInt8Array:
    """Scale a frame (H, W, 3) down so that its longer side is at most ``max_size``; 0: no limit."""
    height, width = frame.shape[:2]
    if not max_size or max(height, width) <= max_size:
        return frame
    ratio = max_size / max(height, width)
    size = max(1, round(height * ratio)), max(1, round(width * ratio))
    return resized(frame, size, cv2.INTER_AREA)


def as_image(frame: UInt8Array, device: torch.device) -> Tensor:
    """Return a frame (h, w, 3) uint8 as (3, h, w) float32 in [0, 1] on a device."""
    # One plane per colour: what works on it, such as the refiner, needs no copy of its own.
    planes = np.stack(cv2.split(np.ascontiguousarray(frame)))
    return torch.from_numpy(planes).to(device).float().div_(255)


def working_image(frame: UInt8Array, max_size: int, device: torch.device) -> Tensor:
    """Scale a frame as ``working_frame`` does, and return it as ``as_image`` does."""
    return as_image(working_frame(frame, max_size), device)


def resized(array: _Array, size: Sequence[int], interpolation: int) -> _Array:
    """Resize an array (H, W) or (H, W, C) to ``size`` (h, w) and keep its dtype.

    Args:
        array: uint8 or float32.
        size: h and w, in pixels.
        interpolation: an OpenCV flag, such as ``cv2.INTER_NEAREST``.
    """
    return cast(_Array, cv2.resize(array, (size[1], size[0]), interpolation=interpolation))
