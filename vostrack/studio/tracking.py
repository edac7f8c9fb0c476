"""The thread that tracks: it follows a plan through the video and fills the project."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.studio.disk_errors import disk_words
from vostrack.studio.frames import VideoFrames
from vostrack.studio.guided_tracker import GuidedTracker, ObjectsBackError, StudioTracker
from vostrack.studio.plan import Leg
from vostrack.studio.priority import give_way
from vostrack.studio.project import Project

__all__ = ["JobState", "TrackJob", "frame_news"]

_log = logging.getLogger("vostrack.studio")


@dataclass(frozen=True)
class JobState:
    """How far the tracking is.

    Attributes:
        state: ``idle``, ``starting`` (learning the objects), ``running``, ``paused``, ``failed``.
        done: frames done.
        total: frames in all.
        frame: the frame done last; None before the first.
        seconds_left: estimate; None while there is none.
        message: what went wrong.
        learned: share of the fine-tuning in hand that is done; None while there is none.
    """

    state: str = "idle"
    done: int = 0
    total: int = 0
    frame: int | None = None
    seconds_left: float | None = None
    message: str = ""
    learned: float | None = None


class _StoppedError(Exception):
    """Tracking was stopped, perhaps while a tracker was learning."""


class TrackJob:
    """Tracks in a thread of its own; one plan at a time.

    Args:
        project: where label maps come from and go to.
        frames: the video.
        build: makes a tracker.
        tell: is told of every change: ``job`` and ``frame`` events.
    """

    def __init__(
        self,
        project: Project,
        frames: VideoFrames,
        build: Callable[[], StudioTracker],
        tell: Callable[[str, dict[str, Any]], None],
    ) -> None:
        self._project, self._frames, self._build, self._tell = project, frames, build, tell
        self._thread: threading.Thread | None = None
        self._stop, self._go = threading.Event(), threading.Event()
        self._changing = threading.RLock()
        self._starting = threading.Lock()
        self._paused_in, self._waited = "running", 0.0
        self.state = JobState()

    def start(self, legs: Sequence[Leg]) -> None:
        """Begin to follow a plan.

        Raises:
            InputError: it is tracking already.
        """
        with self._starting:
            if self._thread is not None and self._thread.is_alive():
                if self.state.state not in ("idle", "failed"):
                    raise InputError("track: tracking is under way; pause or stop it first")
                self._thread.join()  # it is done, and writes what it found
            self._stop.clear()
            self._go.set()
            self._change(JobState("starting", total=sum(len(leg.frames) for leg in legs)))
            self._thread = threading.Thread(target=self._run, args=(tuple(legs),), daemon=True)
            self._thread.start()

    def pause(self) -> None:
        """Wait after the frame, or the step of learning, in hand."""
        with self._changing:
            if self.state.state in ("starting", "running"):
                self._go.clear()
                self._paused_in = self.state.state
                self._change(replace(self.state, state="paused", seconds_left=None))

    def resume(self) -> None:
        """Go on after ``pause``."""
        with self._changing:
            if self.state.state == "paused":
                self._change(replace(self.state, state=self._paused_in))
                self._go.set()

    def stop(self, *, wait: bool = True) -> None:
        """End after the frame, or the step of learning, in hand; what was tracked stays."""
        self._stop.set()
        self._go.set()
        if wait and self._thread is not None:
            self._thread.join()

    def _run(self, legs: tuple[Leg, ...]) -> None:
        give_way()
        try:
            for leg in legs:
                self._follow_all(leg)
        except _StoppedError:
            self._change(JobState())
        except InputError as error:
            self._change(replace(self.state, state="failed", message=str(error)))
        except OSError as error:
            self._change(replace(self.state, state="failed", message=disk_words(error)))
        except Exception as error:
            _log.exception("tracking failed")
            self._change(replace(self.state, state="failed", message=f"tracking failed: {error}"))
        else:
            self._change(JobState())
        finally:
            with suppress(OSError):
                self._project.write_tracked()

    def _follow_all(self, leg: Leg) -> None:
        """Follow a leg; go back to where objects were let go, if that is undone meanwhile."""
        end, wanted = self.state.done + len(leg.frames), leg
        while True:
            try:
                return self._follow(wanted)
            except ObjectsBackError as error:
                wanted = Leg(error.frame, leg.last)
                self._go_back(end - len(wanted.frames))

    def _follow(self, leg: Leg) -> None:
        self._wait()
        tracker = self._build()
        adapter: Any = getattr(tracker, "adapter", None)
        if hasattr(adapter, "on_progress"):
            adapter.on_progress = self._tell_learning
        guided = GuidedTracker(tracker, self._project, self._frames)
        result = guided.begin(leg)
        if result is not None:
            self._take(leg.anchor, result, guided.others)
        begin, self._waited = time.monotonic(), 0.0
        frames = self._frames.between(leg.frames[0], leg.frames[-1])
        for done, (number, image) in enumerate(frames, start=1):
            self._wait()
            result = guided.step(number, image)
            if result is not None:
                self._take(number, result, guided.others)
            seconds = (time.monotonic() - begin - self._waited) / done
            self._step_done(number, seconds)
        guided.check_let_go()

    def _wait(self) -> None:
        """Wait while it is paused.

        Raises:
            _StoppedError: it is to end.
        """
        paused = time.monotonic()
        self._go.wait()
        self._waited += time.monotonic() - paused
        if self._stop.is_set():
            raise _StoppedError

    def _tell_learning(self, model: str, step: int, steps: int) -> None:
        with self._changing:
            self._change(replace(self.state, learned=step / steps))
        self._wait()

    def _step_done(self, number: int, seconds: float) -> None:
        """Tell of a frame, with the seconds that each takes."""
        with self._changing:
            done, total = self.state.done + 1, self.state.total
            if self._go.is_set():
                state = JobState("running", done, total, number, seconds * (total - done))
            else:
                self._paused_in = "running"
                state = JobState("paused", done, total, number)
            self._change(state)

    def _go_back(self, done: int) -> None:
        """Tell that only some of the frames count as done."""
        with self._changing:
            paused = not self._go.is_set()
            self._paused_in = "starting"
            state = "paused" if paused else "starting"
            self._change(JobState(state, done, self.state.total, self.state.frame))

    def _take(self, number: int, result: Any, others: Collection[int]) -> None:
        presence = dict(zip(result.ids, map(float, result.presence), strict=True))
        scores = _best_scores(result)
        with self._project.lock:  # what a page loads has the frame, or the news follow
            found = self._project.track(number, result.labels, presence, scores, others)
            version = self._project.version
            self._tell("frame", {"frame": number, "version": version, **frame_news(found)})

    def _change(self, state: JobState) -> None:
        with self._changing:  # or older news could follow newer ones
            self.state = state
            self._tell("job", asdict(state))


def frame_news(found: Any) -> dict[str, Any]:
    """Return what pages are told of a tracked frame."""
    return {
        "presence": [[number, round(value, 3)] for number, value in found.presence.items()],
        "areas": [[number, area] for number, area in found.areas.items()],
        "doubtful": found.doubtful,
    }


def _best_scores(result: Any) -> UInt8Array | None:
    """Return the best score of each pixel (H, W), 255 for certain; None without objects."""
    if not len(result.ids):
        return None
    best: UInt8Array = np.rint(result.scores.max(axis=0) * 255).astype(np.uint8)
    return best
