"""Opening a video file, and choosing the stream that a player would show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from vostrack.errors import InputError
from vostrack.video.names import plain_path

__all__ = ["main_stream", "open_video"]

_STILL = Disposition.still_image | Disposition.timed_thumbnails


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video file and select its main video stream; see `main_stream`.

    Yields:
        The container and its video stream.

    Raises:
        InputError: the file cannot be opened or contains no video.
    """
    try:
        # Damaged titles are no reason to refuse a video.
        container = av.open(plain_path(path), metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{path} cannot be opened as a video ({reason}); expected a video file such as "
            "mp4, mov, mkv, webm, avi or ts; check that it plays"
        ) from error
    with container:
        # FFmpeg would render a text file as a terminal screen.
        stream = None if container.format.name == "tty" else main_stream(container)
        if stream is None:
            raise InputError(
                f"{path} contains no video (it was read as {container.format.long_name}); "
                "expected a file with a video stream; check the path"
            )
        stream.thread_type = "AUTO"
        yield container, stream


def main_stream(container: InputContainer) -> VideoStream | None:
    """Return the video stream that players show; None if there is none.

    Cover art is never chosen, a stream of a single picture (a preview) only if there is no other.
    Then FFmpeg's rule decides: the default flag, then the larger picture, then the order.
    """
    streams = [
        stream
        for stream in container.streams.video
        # A stream of an unknown codec has no decoder.
        if stream.codec_context is not None and not stream.disposition & Disposition.attached_pic
    ]
    return max(streams, key=_rank, default=None)


def _rank(stream: VideoStream) -> tuple[bool, bool, int]:
    still = bool(stream.disposition & _STILL) or stream.frames == 1
    default = bool(stream.disposition & Disposition.default)
    return not still, default, stream.width * stream.height
