"""A decoded picture as it is displayed: orientation and colour."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import numpy as np
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.video.hdr import ToneMap
from vostrack.video.orientation import Orientation

# Codes of ISO/IEC 23001-8, and the shares of red and blue in luma.
_BT2020_CODES = (9, 10)
_BT2020, _BT709 = (0.2627, 0.0593), (0.2126, 0.0722)
_FULL = 2

__all__ = ["displayed", "orientation_of", "tone_map_of"]


def orientation_of(frame: VideoFrame) -> Orientation:
    """Return the orientation from the display matrix of a decoded frame."""
    try:
        # PyAV declares a dict, but the object is a mapping that iterates over its values.
        for data in cast(Iterable[SideData], frame.side_data):
            if data.type.name == "DISPLAYMATRIX":
                return Orientation.from_matrix(bytes(data))
    except ValueError:
        # This PyAV does not know some kind of side data. The angle is still available.
        return Orientation.from_angle(frame.rotation)
    return Orientation()


def tone_map_of(frame: VideoFrame) -> ToneMap | None:
    """Return the conversion to BT.709 that the tags of a frame ask for; None if none is needed."""
    return ToneMap.for_tags(int(frame.color_trc), int(frame.color_primaries))


def displayed(
    frame: VideoFrame, orientation: Orientation, tone_map: ToneMap | None = None
) -> UInt8Array:
    """Return a decoded frame as RGB image (H, W, 3) uint8 in BT.709, rotated for display."""
    if tone_map is None:
        return orientation.apply(cast(UInt8Array, frame.to_ndarray(format="rgb24")))
    return orientation.apply(tone_map.apply(_rgb(frame)))


def _rgb(frame: VideoFrame) -> FloatArray:
    """Return the coded RGB values (H, W, 3) of a frame, float32 in [0, 1].

    FFmpeg's scaler takes every matrix for that of BT.601 unless told otherwise, so the matrix of
    the tags is applied here.
    """
    if frame.format.is_rgb:
        coded: FloatArray = frame.to_ndarray(format="rgb48le").astype(np.float32) / np.float32(
            65535
        )
        return coded
    planes = frame.reformat(format="yuv444p16le")
    y, u, v = (
        np.frombuffer(memoryview(plane), np.uint16).reshape(plane.height, -1)[:, : plane.width]
        for plane in planes.planes
    )
    full = int(frame.color_range) == _FULL
    low, span, chroma = (0, 65535, 65535) if full else (16 << 8, 219 << 8, 224 << 8)
    luma = (y.astype(np.float32) - low) / span
    blue = (u.astype(np.float32) - 32768) / chroma
    red = (v.astype(np.float32) - 32768) / chroma
    kr, kb = _BT2020 if int(frame.colorspace) in _BT2020_CODES else _BT709
    r, b = luma + 2 * (1 - kr) * red, luma + 2 * (1 - kb) * blue
    g = (luma - kr * r - kb * b) / (1 - kr - kb)
    rgb: FloatArray = np.clip(np.stack([r, g, b], axis=-1), 0, 1).astype(np.float32)
    return rgb
