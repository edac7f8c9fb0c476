"""Results are written behind the tracker: in order, all of them, and errors are not lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest

from vostrack import ClipRequest
from vostrack.masks import write_label_map
from vostrack.runs import folder as folder_module
from vostrack.runs.clip import track_clip
from vostrack.runs.writing_behind import WritingBehind


def test_all_is_done_in_order_when_the_block_ends() -> None:
    done: list[int] = []
    with WritingBehind() as writing:
        for k in range(20):
            writing.add(partial(done.append, k))
    assert done == list(range(20))


def test_it_waits_when_three_pieces_are_pending() -> None:
    go, added = threading.Event(), []
    with WritingBehind() as writing:

        def fill() -> None:
            for k in range(4):
                writing.add(lambda: go.wait(timeout=10))
                added.append(k)

        other = threading.Thread(target=fill)
        other.start()
        other.join(timeout=0.3)
        assert added == [0, 1, 2]
        go.set()
        other.join(timeout=10)
    assert added == [0, 1, 2, 3]


def fail() -> None:
    raise OSError("the disk is full")


def write(*pieces: Callable[[], object], stopped: bool = False) -> None:
    with WritingBehind() as writing:
        for piece in pieces:
            writing.add(piece)
        if stopped:
            raise KeyboardInterrupt


def test_an_error_is_raised_and_later_work_dropped() -> None:
    done: list[int] = []
    with pytest.raises(OSError, match="the disk is full"):
        write(fail, *(partial(done.append, k) for k in range(9)))
    assert done == []


def test_an_error_of_the_last_piece_is_raised_at_the_end() -> None:
    with pytest.raises(OSError, match="the disk is full"):
        write(fail)


def test_when_the_block_is_stopped_the_pending_work_is_done_first() -> None:
    done: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        write(partial(done.append, 1), partial(done.append, 2), stopped=True)
    assert done == [1, 2]


def test_the_first_error_is_kept_when_the_block_is_stopped() -> None:
    with pytest.raises(KeyboardInterrupt):
        write(fail, stopped=True)


def test_masks_are_written_outside_the_thread_that_tracks(
    request_for: Callable[..., ClipRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    names: set[str] = set()

    def noted(*arguments: object) -> None:
        names.add(threading.current_thread().name)
        write_label_map(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(folder_module, "write_label_map", noted)
    track_clip(request_for())
    assert all(name.startswith("vostrack-writer") for name in names)
    assert len(names) == 1
