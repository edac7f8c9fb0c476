"""Reading the frames of a source forwards and backwards."""

from __future__ import annotations

from collections.abc import Iterator

from vostrack.tracking.reading_ahead import reading_ahead
from vostrack.video import Frame, FrameSource

__all__ = ["frames_backwards", "frames_from"]

# Going backwards, frames are read forwards in runs of at most this many bytes and then turned
# round: video files can be decoded in one direction only.
_RUN_BYTES = 128 * 1024 * 1024


def frames_from(source: FrameSource, begin: int) -> Iterator[Frame]:
    """Go through the selected frames from number ``begin`` on; the next ones are read meanwhile."""
    assert source.indices is not None
    if begin <= source.indices[0]:
        return reading_ahead(iter(source))
    if begin > source.indices[-1]:
        return iter(())
    return reading_ahead(source.read(begin, source.indices[-1]))


def frames_backwards(source: FrameSource, start: int, stop: int) -> Iterator[Frame]:
    """Go through the selected frames from ``start`` to before ``stop``, in descending order."""
    assert source.indices is not None
    pending = [index for index in source.indices if start <= index < stop]
    height, width = source.size
    run = max(1, _RUN_BYTES // (height * width * 3))
    while pending:
        part, pending = pending[-run:], pending[:-run]
        yield from reversed(list(source.read(part[0], part[-1])))
