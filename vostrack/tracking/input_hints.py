"""What to do with a frame or a mask that cannot be used, in words for the message."""

from __future__ import annotations

from os import PathLike

import numpy as np
import torch
from torch import Tensor

__all__ = ["frame_hint", "kind_of", "mask_hint", "mask_shape_hint", "source_hint"]


_TWELVE_BITS = 4095


def kind_of(value: object) -> str:
    """Say what came in place of an array."""
    if isinstance(value, Tensor):
        return f"a torch tensor of shape {tuple(value.shape)}"
    return "None" if value is None else type(value).__name__


def frame_hint(frame: object) -> str:
    """Say how to make an RGB image of what came."""
    if frame is None:
        return "check that the frame was read: OpenCV returns None at the end and for a wrong path"
    if isinstance(frame, Tensor):
        return _tensor_hint(frame)
    if isinstance(frame, str | PathLike):
        return "open the file with `vostrack.open_source`, and pass the image of each frame"
    if isinstance(getattr(frame, "image", None), np.ndarray):
        return "pass the image of the frame: frame.image"
    if not isinstance(frame, np.ndarray):
        return "convert it with numpy.asarray(frame)"
    if 0 in frame.shape:
        return "check how the frame was cut out"
    return ", then ".join(filter(None, (_colours_hint(frame), _values_hint(frame))))


def _tensor_hint(frame: Tensor) -> str:
    """Say how to make an array (H, W, 3) uint8 of a tensor."""
    if not frame.numel():
        return "check how the frame was cut out"
    order = ".permute(1, 2, 0)" if frame.ndim == 3 and frame.shape[0] in (1, 3, 4) else ""
    steps = ".detach()" * frame.requires_grad + order
    if frame.dtype in (torch.uint8, torch.bool):
        scale = ".byte().mul(255)" if frame.dtype == torch.bool else ""
        return f"convert the tensor with frame{steps}{scale}.cpu().numpy()"
    if not frame.isfinite().all():
        return "replace NaN and infinity first; see torch.nan_to_num"
    low, high = frame.min().item(), frame.max().item()
    if low < 0 or high > 255:
        return _scale_hint(low, high, f"frame{steps}.byte().cpu().numpy()")
    if not frame.is_floating_point():
        scale = ".byte()"
    else:
        scale = ".mul(255).round().byte()" if high <= 1 else ".round().byte()"
    return f"convert the tensor with frame{steps}{scale}.cpu().numpy()"


def _scale_hint(low: float, high: float, convert: str) -> str:
    return (
        f"scale the values, which lie in {low:.4g}..{high:.4g}, to 0..255 first, and convert them "
        f"with {convert}"
    )


def _colours_hint(frame: np.ndarray) -> str:
    """Say how to make an array (H, W, 3) of one with another shape."""
    if frame.ndim == 4:
        return "pass one frame at a time"
    if frame.ndim == 2:
        return "convert grayscale with numpy.stack([frame] * 3, axis=-1)"
    if frame.ndim != 3:
        return "pass an image of three colours"
    if frame.shape[2] == 4:
        return (
            "drop the alpha channel with frame[..., :3], or, if OpenCV read it (BGRA), with "
            "cv2.cvtColor(frame, cv2.COLOR_BGRA2RGB)"
        )
    if frame.shape[2] == 1:
        return "convert grayscale with numpy.repeat(frame, 3, axis=2)"
    if frame.shape[0] == 3 and frame.shape[2] != 3:
        return "move the colours to the last axis with numpy.moveaxis(frame, 0, -1)"
    return "" if frame.shape[2] == 3 else "pass an image of three colours"


def _values_hint(frame: np.ndarray) -> str:
    """Say how to make uint8 of an array of other values."""
    if frame.dtype == np.uint8:
        return ""
    wide = frame.dtype.newbyteorder("=") == np.uint16
    # Cameras of 10 and 12 bits fill 16 bits in part.
    if wide and frame.max() > _TWELVE_BITS:
        return "scale 16 bits down with (frame // 257).astype('uint8')"
    if frame.dtype == np.bool_:
        return "convert it with frame.astype('uint8') * 255"
    if np.issubdtype(frame.dtype, np.integer):
        if frame.min() < 0 or frame.max() > 255:
            return _scale_hint(frame.min(), frame.max(), "frame.astype('uint8')")
        return "convert values in 0..255 with frame.astype('uint8')"
    if not np.issubdtype(frame.dtype, np.floating):
        return "convert it to numbers in 0..255 with frame.astype('uint8')"
    if not np.isfinite(frame).all():
        return "replace NaN and infinity first; see numpy.nan_to_num"
    if frame.min() < 0 or frame.max() > 255:
        return _scale_hint(frame.min(), frame.max(), "frame.round().astype('uint8')")
    if frame.max() > 1:
        return "round and convert values in 0..255 with frame.round().astype('uint8')"
    return "convert floats in [0, 1] with (frame * 255).astype('uint8')"


def source_hint(source: object) -> str:
    """Say how to make a source of frames of what came."""
    if isinstance(source, str | PathLike):
        return f"open it with `vostrack.open_source({str(source)!r})`"
    if source is None:
        return "open a video with `vostrack.open_source`"
    return "wrap the frames with `vostrack.open_source(frames)`"


def mask_hint(mask: object) -> str:
    """Say how to make a mask of what came."""
    if mask is None:
        return "check that the mask was read: OpenCV returns None for a wrong path"
    if isinstance(mask, Tensor):
        return "convert the tensor with mask.cpu().numpy()"
    if isinstance(mask, str | PathLike):
        return "read the file with `vostrack.read_first_mask`"
    return "convert it with numpy.asarray(mask)"


def mask_shape_hint(shape: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """Say how to make an array (H, W) of one with another shape."""
    if len(shape) == 3 and shape[:2] == expected:
        if shape[2] == 1:
            return "drop the last axis with mask[..., 0]"
        return "read the mask file with `vostrack.read_first_mask`, which turns colours into ids"
    if len(shape) == 3 and shape[1:] == expected:
        return (
            "drop the first axis with mask[0]"
            if shape[0] == 1
            else "let `vostrack.masks.check_first_mask` combine the masks of several objects"
        )
    if shape == expected[::-1]:
        return "width and height are swapped; transpose the mask"
    return "create the mask on this frame, at full size"
