"""Frames are read ahead, a few only, and errors come at their place."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from vostrack.tracking.reading_ahead import reading_ahead
from vostrack.video import Frame


def frames(count: int, read: list[int], broken: int | None = None) -> Iterator[Frame]:
    try:
        for index in range(count):
            if index == broken:
                raise ValueError("cannot be read")
            read.append(index)
            yield Frame(index, index / 25, np.zeros((4, 4, 3), np.uint8))
    finally:
        read.append(-1)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 9])
def test_the_same_frames_come_in_order(count: int) -> None:
    read: list[int] = []
    assert [frame.index for frame in reading_ahead(frames(count, read))] == list(range(count))
    assert read == [*range(count), -1]


def test_at_most_two_frames_wait() -> None:
    read: list[int] = []
    for frame in reading_ahead(frames(20, read)):
        # One more is begun when a frame is handed out.
        assert len(read) <= frame.index + 3


def test_the_next_frame_is_read_while_one_is_worked_on() -> None:
    second = threading.Event()

    def slow() -> Iterator[Frame]:
        yield from frames(1, [])
        second.set()

    ahead = reading_ahead(slow())
    next(ahead)
    assert second.wait(timeout=10)


def test_an_error_comes_after_the_frames_before_it() -> None:
    ahead = reading_ahead(frames(9, [], broken=3))
    assert [next(ahead).index for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="cannot be read"):
        next(ahead)


def test_closing_it_closes_the_frames_and_ends_the_thread() -> None:
    read: list[int] = []
    ahead = reading_ahead(frames(100, read))
    next(ahead)
    ahead.close()  # type: ignore[attr-defined]
    assert read[-1] == -1
    assert len(read) < 6
    assert not [t for t in threading.enumerate() if t.name.startswith("vostrack-reader")]
