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

    FFmpeg interpolates chroma for planar targets only.
    """
    coded: FloatArray = frame.to_ndarray(format="gbrp16le").astype(np.float32) / np.float32(65535)
    return coded
