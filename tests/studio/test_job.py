"""Starting, pausing and stopping the thread that tracks, also while it learns."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from tests.studio.small_project import FRAMES, ShiftingTracker, draw, square, wait_until
from vostrack.errors import InputError
from vostrack.studio.session import StudioSession

STEPS = 2000


class Learning(ShiftingTracker):
    """Learns in many short steps."""

    def __init__(self) -> None:
        super().__init__()
        self.adapter: Any = SimpleNamespace(on_progress=None)
        self.steps = 0

    def start(self, frame: Any, mask: Any) -> Any:
        for self.steps in range(1, STEPS + 1):
            self.adapter.on_progress("objects", self.steps, STEPS)
            time.sleep(0.001)
        return super().start(frame, mask)


@pytest.fixture
def learners(session: StudioSession) -> list[Learning]:
    """Every tracker of the session, in order."""
    made: list[Learning] = []

    def build() -> Learning:
        made.append(Learning())
        return made[-1]

    session.job._build = build
    draw(session.project, 3, square(5))
    return made


def test_stop_ends_the_learning_and_leaves_out_the_other_way(
    session: StudioSession, learners: list[Learning]
) -> None:
    session.track(3, "both")
    wait_until(lambda: learners and learners[0].steps > 3)
    session.job.stop()
    assert session.job.state.state == "idle"
    assert learners[0].steps < STEPS
    assert len(learners) == 1
    assert session.project.tracked == {}


def test_stop_in_the_first_direction_leaves_out_the_second(session: StudioSession) -> None:
    built = []

    class Gated(ShiftingTracker):
        def step(self, frame: Any) -> Any:
            session.job.stop(wait=False)
            return super().step(frame)

    def build() -> Gated:
        built.append(Gated())
        return built[-1]

    session.job._build = build
    draw(session.project, 3, square(5))
    session.track(3, "both")
    wait_until(lambda: session.job.state.state == "idle")
    assert len(built) == 1
    assert sorted(session.project.tracked) == [4]


def test_pause_holds_the_learning(session: StudioSession, learners: list[Learning]) -> None:
    session.track(3, "forward")
    wait_until(lambda: learners and learners[0].steps > 3)
    session.job.pause()

    def still() -> bool:
        before = learners[0].steps
        time.sleep(0.05)
        return learners[0].steps == before

    wait_until(still)
    before = learners[0].steps
    assert before < STEPS
    assert session.job.state.state == "paused"
    assert session.job.state.learned == before / STEPS
    session.job.resume()
    assert session.job.state.state == "starting"
    wait_until(lambda: learners[0].steps > before)
    session.job.pause()
    session.job.stop()
    assert session.job.state.state == "idle"


def test_of_several_starts_at_once_one_holds(session: StudioSession) -> None:
    gate = threading.Event()
    threads = set()

    class Slow(ShiftingTracker):
        def start(self, frame: Any, mask: Any) -> Any:
            threads.add(threading.get_ident())
            gate.wait(60)
            return super().start(frame, mask)

    session.job._build = Slow
    draw(session.project, 0, square(5))

    def start(_: int) -> bool:
        try:
            session.track(0, "forward")
        except InputError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(start, range(8))) == 1
    gate.set()
    wait_until(lambda: session.job.state.state == "idle")
    assert len(threads) == 1
    assert len(session.project.tracked) == FRAMES - 1
