"""Reading video files with decord, only on explicit request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.video.frames import Frame, SeekableSource, Selection
from vostrack.video.names import plain_path
from vostrack.video.reader_check import check_pictures, check_size, check_stream
from vostrack.video.video_file import VideoFileSource

__all__ = ["DecordSource"]


class DecordSource(SeekableSource):
    """Frames of a video file as decord decodes them.

    decord may repeat or misplace frames of trimmed clips without an error. Its frame count is
    therefore compared with that of `VideoFileSource`, and a difference is refused. It decodes
    ahead without a memory limit. It applies the display matrix itself.
    """

    def __init__(self, path: Path, selection: Selection) -> None:
        """Open the file with decord.

        Raises:
            InputError: decord is not installed or cannot read the file.
        """
        # This reports a missing or empty file, or one without video, like the other readers.
        reference = VideoFileSource(path, Selection())
        check_stream(reference, "decord")
        self._video = _open_decord(path)
        count = len(self._video)
        if count != reference.length:
            raise InputError(
                f"decord counts {count} frames in {path}, PyAV {reference.length}: frames from "
                "decord would be wrong or repeated (as in trimmed clips); use `reader='pyav'`"
            )
        super().__init__(str(path), count, selection)
        try:
            self.size = self._image(0).shape[:2]
            check_size(reference, "decord", self.size)
            check_pictures(reference, "decord", self._images)
        except Exception as error:
            if not _is_decord_error(error):
                raise
            raise InputError(
                f"decord cannot read the frames of {path} ({str(error).splitlines()[0][:120]}); "
                "use `reader='pyav'`"
            ) from error
        self.pixel_aspect, self.damage = reference.pixel_aspect, reference.damage
        # decord's times are those of packets, all zero in AVI files.
        self._times = reference.times
        self.frame_rate = float(self._video.get_avg_fps())

    def time(self, number: int) -> float:
        """Return the time of a frame; see ``SeekableSource.time``."""
        return self._times[number]

    def _image(self, number: int) -> UInt8Array:
        image = np.ascontiguousarray(self._video[number].asnumpy())
        if image.ndim != 3 or image.shape[2] != 3:
            # This happens at a width of 72 pixels: decord takes row padding for a channel.
            raise InputError(
                f"{self.name}: expected frames of shape (H, W, 3) from decord, got {image.shape}; "
                "use `reader='pyav'`"
            )
        return image

    def _images(self, numbers: list[int]) -> Iterator[UInt8Array]:
        for number in numbers:
            yield self._image(number)

    def _frames(self, numbers: range) -> Iterator[Frame]:
        for number in numbers:
            try:
                image = self._image(number)
            except Exception as error:
                if not _is_decord_error(error):
                    raise
                self._end_at(number)
                return
            self._check_size(image.shape[0], image.shape[1], number)
            yield Frame(number, self.time(number), image)


def _open_decord(path: Path) -> Any:
    # Importing decord before torch leads to a crash as soon as there is a CUDA tensor.
    import torch  # noqa: F401  # for the import order only

    try:
        import decord
    except ImportError as error:
        raise InputError(
            "reader: decord is not installed (there are wheels only for Linux and Windows on "
            "x86-64); use `reader='pyav'`"
        ) from error
    try:
        return decord.VideoReader(plain_path(path), ctx=decord.cpu(0))
    except Exception as error:
        if not _is_decord_error(error):
            raise
        raise InputError(
            f"decord cannot read {path}; it does not support newer formats such as AV1; use "
            "`reader='pyav'`"
        ) from error


def _is_decord_error(error: Exception) -> bool:
    # Depending on the version, decord's errors derive from RuntimeError or DECORDError.
    return isinstance(error, RuntimeError | IndexError) or "decord" in type(error).__module__
