"""Frames of a video file, by decord: only where it is asked for by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vostrack.errors import InputError
from vostrack.video.frames import Frame, SeekableSource, Selection, logger
from vostrack.video.video_file import VideoFileSource
from vostrack.video.video_index import open_video

__all__ = ["DecordSource"]


class DecordSource(SeekableSource):
    """Frames of a video file as decord gives them.

    decord repeats or misplaces frames of trimmed clips without an error, so its count is held
    against that of `VideoFileSource`, and a difference is warned of. It also decodes ahead without
    a bound on its memory. It turns frames by their display matrix itself.
    """

    def __init__(self, path: Path, selection: Selection) -> None:
        """Open the file with decord.

        Raises:
            InputError: decord is not installed, or cannot read the file.
        """
        # An empty or missing file, or one without video, is told of in the same words as always.
        with open_video(path):
            pass
        self._video = _open_decord(path)
        count = len(self._video)
        self._warn_of_difference(path, count)
        super().__init__(str(path), count, selection)
        self.size = self._image(0).shape[:2]
        self._origin = self._stamp(0)
        self.frame_rate = float(self._video.get_avg_fps())

    @staticmethod
    def _warn_of_difference(path: Path, count: int) -> None:
        try:
            expected = VideoFileSource(path, Selection()).length
        except InputError as error:
            logger.warning("decord's frames of %s cannot be checked: %s", path, error)
            return
        if count != expected:
            logger.warning(
                "decord counts %d frames in %s, PyAV %s: decord's frames may be wrong or repeated "
                "(trimmed clips are), use the reader pyav",
                count,
                path,
                expected,
            )

    def _image(self, number: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        image = np.ascontiguousarray(self._video[number].asnumpy())
        if image.ndim != 3 or image.shape[2] != 3:
            # Seen at a width of 72 pixels: rows padded by its FFmpeg are taken for a channel.
            raise InputError(
                f"decord gives frames of shape {image.shape} for {self.name} where (H, W, 3) was "
                "expected; use the reader pyav"
            )
        return image

    def _stamp(self, number: int) -> float:
        return float(self._video.get_frame_timestamp(number)[0])

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
            yield Frame(number, self._stamp(number) - self._origin, image)


def _open_decord(path: Path) -> Any:
    # decord before torch ends in a crash once there is a CUDA tensor.
    import torch  # noqa: F401  # for its place in the order of imports only

    try:
        import decord
    except ImportError as error:
        raise InputError(
            "the reader decord is not installed (its wheels are for Linux and Windows on x86-64 "
            "only); use the reader pyav"
        ) from error
    try:
        return decord.VideoReader(str(path), ctx=decord.cpu(0))
    except Exception as error:
        if not _is_decord_error(error):
            raise
        raise InputError(
            f"decord cannot read {path}; it knows no newer formats such as AV1, so use the reader "
            "pyav"
        ) from error


def _is_decord_error(error: Exception) -> bool:
    # decord's own errors derive from RuntimeError or from its DECORDError, by version.
    return isinstance(error, RuntimeError | IndexError) or "decord" in type(error).__module__
