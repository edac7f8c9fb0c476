"""Writing videos with an alpha channel, and luma mattes, for editors and browsers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.errors import InputError
from vostrack.files import naming
from vostrack.video.frames import NOMINAL_RATE
from vostrack.video.names import plain_path

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

__all__ = ["LUMA", "PRORES", "WEBM", "AlphaVideoWriter", "Encoding"]

_BT709 = 1  # matrix, primaries and transfer have the same code in ISO/IEC 23001-8
_LIMITED = 1


@dataclass(frozen=True)
class Encoding:
    """How a video is stored.

    Attributes:
        container: FFmpeg's name of the file format.
        codec: FFmpeg's name of the encoder.
        pixels: FFmpeg's name of the pixel format.
        options: of the encoder.
        tick: duration of a clock tick in seconds.
        keeps_aspect: whether the shape of a pixel is stored.
    """

    container: str
    codec: str
    pixels: str
    options: tuple[tuple[str, str], ...]
    tick: Fraction
    keeps_aspect: bool = True


PRORES = Encoding(
    "mov",
    "prores_ks",
    "yuva444p10le",
    (("profile", "4444"), ("alpha_bits", "16"), ("vendor", "apl0")),
    Fraction(1, 90000),
)
WEBM = Encoding(
    "webm",
    "libvpx-vp9",
    "yuva420p",
    (("crf", "18"), ("b", "0"), ("deadline", "good"), ("cpu-used", "4"), ("auto-alt-ref", "0")),
    Fraction(1, 1000),
    keeps_aspect=False,
)
LUMA = Encoding(
    "mov", "prores_ks", "yuv422p10le", (("profile", "hq"), ("vendor", "apl0")), Fraction(1, 90000)
)


class AlphaVideoWriter:
    """Writes frames with alpha and their own times; use it in a ``with`` block.

    Colours are stored in BT.709, limited range. The first frame is shown at time zero. The file
    appears under its name when the block succeeds; after an error there is none.
    """

    def __init__(
        self,
        path: Path,
        encoding: Encoding,
        frame_rate: float | None,
        *,
        pixel_aspect: Fraction = Fraction(1),
    ) -> None:
        """Set the target; nothing is written yet.

        Args:
            path: target file. An existing file is replaced at the end.
            encoding: how it is stored.
            frame_rate: mean frames per second; None if unknown.
            pixel_aspect: width of a pixel divided by its height.
        """
        self._target, self._encoding = path, encoding
        self._rate = Fraction(frame_rate or NOMINAL_RATE).limit_denominator(1001)
        self._pixel_aspect = pixel_aspect
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._container: OutputContainer | None = None
        self._began, self._last = 0.0, -1

    def __enter__(self) -> AlphaVideoWriter:
        """Return the writer itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Finish the file, or remove it after an error."""
        container, self._container = self._container, None
        with naming(self._target, self._temporary):
            try:
                if container is not None:
                    if kind is None:
                        container.mux(self._stream.encode(None))
                    container.close()
                    if kind is None:
                        self._temporary.replace(self._target)
            finally:
                self._temporary.unlink(missing_ok=True)

    def add(self, image: UInt8Array, alpha: FloatArray, time: float) -> None:
        """Append a frame.

        Args:
            image: (H, W, 3) uint8 RGB.
            alpha: (H, W) in [0, 1].
            time: in seconds, on any clock. One that is not after the previous time is moved.

        Raises:
            InputError: the file cannot be written.
            OSError: the disk is full.
        """
        import av

        if self._container is None:
            self._start(alpha.shape, time)
        assert self._container is not None
        values = np.empty((*alpha.shape, 4), np.uint16)
        values[..., :3] = np.multiply(image, 257, dtype=np.uint16)
        values[..., 3] = np.rint(np.clip(alpha, 0, 1) * 65535)
        frame = av.VideoFrame.from_ndarray(values, format="rgba64le")
        frame = frame.reformat(
            format=self._encoding.pixels, dst_colorspace=_BT709, dst_color_range=_LIMITED
        )
        # ProRes and VP9 take the tags from the frame.
        frame.color_primaries = frame.color_trc = _BT709
        tick = self._encoding.tick
        self._last = max(self._last + 1, round((time - self._began) / tick))
        frame.pts, frame.time_base = self._last, tick
        with naming(self._target, self._temporary):
            self._container.mux(self._stream.encode(frame))

    def _start(self, shape: tuple[int, ...], time: float) -> None:
        import av

        self._began = time
        try:
            container = av.open(plain_path(self._temporary), "w", format=self._encoding.container)
        except (av.FFmpegError, OSError) as error:
            raise InputError(
                f"{self._target} cannot be written ({error}); check the folder's permissions"
            ) from error
        self._container = container
        stream: Any = container.add_stream(
            self._encoding.codec, rate=self._rate, options=dict(self._encoding.options)
        )
        stream.height, stream.width = shape[:2]
        stream.pix_fmt = self._encoding.pixels
        context = stream.codec_context
        context.time_base = self._encoding.tick
        context.sample_aspect_ratio = self._pixel_aspect
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        self._stream: VideoStream = stream
