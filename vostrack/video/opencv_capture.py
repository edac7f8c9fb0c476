"""Reading cameras with OpenCV, and video files on explicit request."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.video.frames import (
    Frame,
    SeekableSource,
    Selection,
    StreamedSource,
)
from vostrack.video.live import OPEN_TIMEOUT
from vostrack.video.names import plain_path
from vostrack.video.reader_check import check_pictures, check_size, check_stream
from vostrack.video.video_file import VideoFileSource

__all__ = ["CaptureSource", "OpenCVFileSource"]


def _rgb(image: cv2.typing.MatLike | None) -> UInt8Array:
    if image is None:
        raise InputError("OpenCV returned a frame without an image; use `reader='pyav'`")
    if image.ndim == 2:
        return np.repeat(image[..., None], 3, axis=2).astype(np.uint8)
    return np.ascontiguousarray(image[..., 2::-1], dtype=np.uint8)


class OpenCVFileSource(SeekableSource):
    """Frames of a video file as OpenCV decodes them. OpenCV applies the display matrix itself.

    OpenCV's frame count and seeking are wrong for some files. Frames are therefore counted by
    reading the file once, and every read starts from the beginning.
    """

    def __init__(self, path: Path, selection: Selection) -> None:
        """Count the frames.

        Raises:
            InputError: the file cannot be opened, or OpenCV decodes no frame.
        """
        self._path = path
        reference = VideoFileSource(path, Selection())
        check_stream(reference, "OpenCV")
        with self._open() as capture:
            stamps = []
            while capture.grab():
                stamps.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
            nominal = capture.get(cv2.CAP_PROP_FPS)
        if not stamps:
            raise InputError(
                f"OpenCV cannot decode any frame of {path} (AV1, for example, is not supported); "
                "use `reader='pyav'`"
            )
        if len(stamps) != reference.length:
            raise InputError(
                f"OpenCV reads {len(stamps)} frames of {path}, which has {reference.length}: some "
                "are missing or repeated; use `reader='pyav'`"
            )
        # OpenCV's times are those of packets, and its clock may run backwards.
        self._times = reference.times
        self.pixel_aspect, self.damage = reference.pixel_aspect, reference.damage
        super().__init__(str(path), len(stamps), selection)
        self.frame_rate = (len(stamps) - 1) / self._times[-1] if self._times[-1] > 0 else nominal
        with self._open() as capture:
            self.size = _rgb(capture.read()[1]).shape[:2]
        check_size(reference, "OpenCV", self.size)
        check_pictures(reference, "OpenCV", self._images)

    def time(self, number: int) -> float:
        """Return the time of a frame; see ``SeekableSource.time``."""
        return self._times[number]

    @contextmanager
    def _open(self) -> Iterator[cv2.VideoCapture]:
        capture = cv2.VideoCapture(plain_path(self._path), cv2.CAP_FFMPEG)
        try:
            yield capture
        finally:
            capture.release()

    def _images(self, numbers: list[int]) -> Iterator[UInt8Array]:
        with self._open() as capture:
            for number in range(numbers[-1] + 1):
                if capture.grab() and number in numbers:
                    yield _rgb(capture.retrieve()[1])

    def _frames(self, numbers: range) -> Iterator[Frame]:
        with self._open() as capture:
            for number in range(numbers.stop):
                if not capture.grab():
                    self._end_at(number)
                    return
                if number in numbers:
                    image = _rgb(capture.retrieve()[1])
                    self._check_size(image.shape[0], image.shape[1], number)
                    yield Frame(number, self.time(number), image)


class CaptureSource(StreamedSource):
    """Frames of a camera, or of an address that OpenCV opens."""

    live = True

    def __init__(self, device: int | str, selection: Selection) -> None:
        """Open the camera and wait for its first frame.

        Args:
            device: index of a camera, or an address.
            selection: the selected frames, counted from the first one received.

        Raises:
            InputError: the camera cannot be opened or delivers no frame.
        """
        super().__init__(f"camera {device}" if isinstance(device, int) else device, selection)
        self._capture: cv2.VideoCapture | None = _open_capture(device)
        ok, image = self._capture.read()
        if not ok:
            self.close()
            raise InputError(
                f"{self.name} cannot be opened or delivers no frame; expected the index of a "
                "connected camera (0 is the first) or the address of a running stream; check that "
                "no other program uses it"
            )
        self._began = time.monotonic()
        self._first: UInt8Array | None = _rgb(image)
        self.size = self._first.shape[:2]
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.frame_rate = rate if 0 < rate < 1000 else None

    def _arrivals(self) -> Iterator[tuple[float, Callable[[], UInt8Array]]]:
        first, self._first = self._first, None
        if first is None or self._capture is None:
            raise InputError(
                f"{self.name} is closed or was already read; open it again for new frames"
            )
        yield 0.0, lambda: first
        capture = self._capture
        while self._capture is not None and capture.grab():
            yield time.monotonic() - self._began, lambda: _rgb(capture.retrieve()[1])

    def close(self) -> None:
        """Release the camera."""
        if self._capture is not None:
            self._capture.release()
        self._capture = None


def _open_capture(device: int | str) -> cv2.VideoCapture:
    if isinstance(device, int):
        return cv2.VideoCapture(device)
    limit = round(OPEN_TIMEOUT * 1000)
    return cv2.VideoCapture(
        device,
        cv2.CAP_FFMPEG,
        [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit],
    )
