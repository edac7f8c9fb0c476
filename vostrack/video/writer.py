"""Writing H.264 video files that play in browsers."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.files import naming
from vostrack.video.frames import NOMINAL_RATE, logger
from vostrack.video.names import plain_path

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

    from vostrack.video.audio import AudioCopy

__all__ = ["VideoWriter"]

_TICK = Fraction(1, 90000)
_SUFFIXES = (".mp4", ".m4v")
_BT709 = 1  # matrix, primaries and transfer have the same code in ISO/IEC 23001-8
_LIMITED = 1


class VideoWriter:
    """Writes frames with their own times to an mp4 file.

    The format is H.264, yuv420p, BT.709, with the index at the start of the file. An odd width or
    height is padded by a copy of the last column or row. The first frame is shown at time zero. The
    file appears under its name when the ``with`` block succeeds. After an error or Ctrl-C there is
    no file.

    Example:
        >>> with VideoWriter("out.mp4", 25.0) as writer:  # doctest: +SKIP
        ...     for frame in frames:
        ...         writer.add(frame.image, frame.time)
    """

    def __init__(
        self,
        path: str | Path,
        frame_rate: float | None,
        *,
        audio_from: str | Path | None = None,
        pixel_aspect: Fraction = Fraction(1),
    ) -> None:
        """Check the target. Nothing is written yet.

        Args:
            path: target file, ``.mp4`` or ``.m4v``. An existing file is replaced at the end.
            frame_rate: mean frames per second, for the encoder and the duration of the last frame;
                None if unknown.
            audio_from: file whose audio is copied without re-encoding, from the time of the first
                frame to that of the last. The times passed to `add` must then be those of this
                file. Audio that cannot be copied is left out with a warning.
            pixel_aspect: width of a pixel divided by its height, for the player.

        Raises:
            InputError: the suffix is not supported, the folder does not exist, or the frame rate is
                not positive.
        """
        self._target = Path(path)
        if self._target.suffix.lower() not in _SUFFIXES:
            raise InputError(
                f"video file: expected a name ending in .mp4, got {self._target.name!r}"
            )
        if not self._target.parent.is_dir():
            raise InputError(
                f"video file: the folder {self._target.parent} does not exist; create it first"
            )
        if self._target.is_dir():
            raise InputError(f"video file: {self._target} is a folder; name a file in it")
        if frame_rate is not None and not 0 < frame_rate <= 100_000:
            raise InputError(f"frame_rate: expected frames per second above 0, got {frame_rate}")
        self._rate = frame_rate or NOMINAL_RATE
        self._pixel_aspect = pixel_aspect
        self._audio_from = None if audio_from is None else Path(audio_from)
        self._temporary = self._target.with_name(f".{self._target.stem}.{os.getpid()}.tmp.mp4")
        self._container: OutputContainer | None = None
        self._audio: AudioCopy | None = None
        self._shape: tuple[int, ...] = ()
        self._began, self._last = 0.0, -1

    def __enter__(self) -> VideoWriter:
        """Return the writer itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Finish the file, or remove it after an error.

        Raises:
            InputError: no frame was added.
        """
        with naming(self._target, self._temporary):
            try:
                if kind is None:
                    self._finish()
            finally:
                self._discard()

    def add(self, image: UInt8Array, time: float) -> None:
        """Append a frame.

        Args:
            image: (H, W, 3) uint8 RGB, of the same size as the first frame.
            time: display time in seconds, on any clock. A time that is not after the previous one
                is moved just behind it.

        Raises:
            InputError: the shape or dtype is not as expected.
            OSError: the disk is full.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise InputError(
                f"frame: expected uint8 of shape (H, W, 3), got {image.dtype} of {image.shape}"
            )
        if self._container is None:
            self._start(image.shape, time)
        if image.shape != self._shape:
            raise InputError(
                f"frame: expected {self._shape[1]} x {self._shape[0]} pixels like the first frame, "
                f"got {image.shape[1]} x {image.shape[0]}; resize all frames to the same size"
            )
        self._last = max(self._last + 1, round((time - self._began) / _TICK))
        with naming(self._target, self._temporary):
            self._encode(image)
            if self._audio is not None:
                self._audio.copy_until(float(self._last * _TICK))

    def _start(self, shape: tuple[int, ...], time: float) -> None:
        import av

        self._shape, self._began = shape, time
        try:
            container = av.open(
                plain_path(self._temporary), "w", format="mp4", options={"movflags": "+faststart"}
            )
        except (av.FFmpegError, OSError) as error:
            raise InputError(
                f"{self._target} cannot be written ({error}); check the folder's permissions"
            ) from error
        self._container = container
        # Recover a rational rate such as 30000/1001 from the rounded float.
        rate = Fraction(self._rate).limit_denominator(1001)
        # No B-frames: they are stored out of order, and a duration summed over stored frames
        # is wrong if the frame rate varies.
        options = {"preset": "veryfast", "crf": "19", "bf": "0"}
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.height, stream.width = shape[0] + shape[0] % 2, shape[1] + shape[1] % 2
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = _TICK
        context.sample_aspect_ratio = self._pixel_aspect
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        self._stream: VideoStream = stream
        if self._audio_from is not None:
            from vostrack.video.audio import AudioCopy

            self._audio = AudioCopy.begin(self._audio_from, container, time)

    def _encode(self, image: UInt8Array) -> None:
        import av

        assert self._container is not None
        height, width = self._shape[:2]
        if height % 2 or width % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame = frame.reformat(
            format="yuv420p",
            dst_colorspace=_BT709,
            dst_color_range=_LIMITED,
        )
        frame.pts, frame.time_base = self._last, _TICK
        self._container.mux(self._stream.encode(frame))

    def _finish(self) -> None:
        if self._container is None:
            raise InputError(
                f"{self._target}: no frame was added, so there is no video; add at least one frame"
            )
        self._container.mux(self._stream.encode(None))
        if self._audio is not None:
            self._audio.copy_until(float(self._last * _TICK) + 1 / self._rate)
        self._container.close()
        self._container = None
        self._temporary.replace(self._target)
        logger.debug("wrote %s", self._target)

    def _discard(self) -> None:
        container, self._container = self._container, None
        try:
            if self._audio is not None:
                self._audio.close()
            if container is not None:
                container.close()
        finally:
            self._temporary.unlink(missing_ok=True)
