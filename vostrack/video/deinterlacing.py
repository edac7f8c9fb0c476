"""Deinterlacing: a whole picture of each pair of fields, by FFmpeg's bwdif."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal, cast

from vostrack.errors import InputError

if TYPE_CHECKING:
    from av.filter import Graph
    from av.video.frame import VideoFrame

__all__ = ["DEINTERLACE", "Deinterlace", "check_deinterlace", "deinterlaced"]

Deinterlace = Literal["auto", "off"]
"""auto: pictures that are marked as interlaced are deinterlaced."""

DEINTERLACE = ("auto", "off")


def check_deinterlace(value: str) -> None:
    """Refuse other values.

    Raises:
        InputError: it is neither "auto" nor "off".
    """
    if value not in DEINTERLACE:
        raise InputError(f"deinterlace: expected auto or off, got {value!r}")


def deinterlaced(frames: Iterable[tuple[int, VideoFrame]]) -> Iterator[tuple[int, VideoFrame]]:
    """Deinterlace the marked pictures of a video; the others stay as they are.

    One picture comes out for each that goes in, so that numbers and times stay. A picture is made
    with the help of the one before it and the one after it.

    Args:
        frames: numbered pictures of one size, in the order of display.

    Yields:
        The number and the whole picture.
    """
    graph: Graph | None = None
    numbers: deque[int] = deque()
    for number, frame in frames:
        if graph is None:
            graph = _graph(frame)
        numbers.append(number)
        graph.push(frame)
        yield from _ready(graph, numbers)
    if graph is not None:
        graph.push(None)
        yield from _ready(graph, numbers)


def _graph(frame: VideoFrame) -> Graph:
    from av.filter import Graph

    graph = Graph()
    source = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=frame.time_base,
    )
    # A picture for each frame, parity as marked, only of marked frames.
    bwdif = graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
    sink = graph.add("buffersink")
    source.link_to(bwdif)
    bwdif.link_to(sink)
    graph.configure()
    return graph


def _ready(graph: Graph, numbers: deque[int]) -> Iterator[tuple[int, VideoFrame]]:
    import av

    while numbers:
        try:
            frame = cast("VideoFrame", graph.pull())
        except (av.BlockingIOError, av.EOFError):
            return
        yield numbers.popleft(), frame
