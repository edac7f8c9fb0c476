"""What coding leaves of a clip: H.264 and JPEG, in memory."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["through_h264", "through_jpeg"]

UInt8Array = NDArray[np.uint8]


def through_h264(images: UInt8Array, rate_factor: int) -> UInt8Array:
    """Encode and decode a clip.

    Args:
        images: (T, H, W, 3) uint8 RGB, sides even.
        rate_factor: of x264, 0..51; higher is worse.

    Returns:
        The same shape; the same bytes for the same input.
    """
    buffer = io.BytesIO()
    height, width = images.shape[1:3]
    # One thread: x264 decides differently with several.
    options = {"crf": str(rate_factor), "preset": "ultrafast", "threads": "1"}
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=Fraction(25), options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer, "r") as coded:
        frames = [frame.to_ndarray(format="rgb24") for frame in coded.decode(video=0)]
    return np.stack(frames)


def through_jpeg(image: UInt8Array, quality: int) -> UInt8Array:
    """Encode and decode a frame, (H, W, 3) uint8 RGB.

    Args:
        image: the frame.
        quality: 1..100.
    """
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), dtype=np.uint8)
