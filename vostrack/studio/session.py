"""Everything behind the page: the project, its frames, the tracker and the clicks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from vostrack.arrays import BoolArray, UInt8Array
from vostrack.errors import InputError
from vostrack.interactive import Box, Click
from vostrack.studio.disk_errors import ProjectGoneError
from vostrack.studio.events import News
from vostrack.studio.exports import Exported, export_choices, export_project
from vostrack.studio.frames import VideoFrames
from vostrack.studio.guided_tracker import StudioTracker
from vostrack.studio.journal import StudioObject
from vostrack.studio.layers import soft_matte
from vostrack.studio.places import video_name
from vostrack.studio.plan import Direction, plan_legs
from vostrack.studio.project import Project
from vostrack.studio.tracking import TrackJob, frame_news

if TYPE_CHECKING:
    from vostrack.masks.validation import FirstMask

__all__ = ["Clicker", "Parts", "StudioSession"]

_OPEN_FRAMES = 3


class Clicker(Protocol):
    """What the session needs of ``ClickSegmenter``."""

    def open(self, frame: UInt8Array) -> Any:
        """Prepare a frame."""
        ...


@dataclass(frozen=True)
class Parts:
    """What works behind the page; each is made when it is first wanted.

    Attributes:
        build_tracker: makes a tracker.
        build_clicker: makes what answers clicks.
        propose: finds objects in the first of some frames; see ``propose_first_mask``.
    """

    build_tracker: Callable[[], StudioTracker]
    build_clicker: Callable[[], Clicker]
    propose: Callable[[Iterable[UInt8Array]], FirstMask]


class StudioSession:
    """What requests do. Its methods may be called from any thread.

    Args:
        project: the project.
        parts: what tracks, answers clicks, and proposes objects.
        news: where changes are announced.
    """

    def __init__(self, project: Project, parts: Parts, news: News) -> None:
        self.project = project
        self.news = news
        self.frames = VideoFrames(
            project.video, lambda trouble: news.tell("trouble", {"trouble": trouble})
        )
        self.job = TrackJob(project, self.frames, parts.build_tracker, self.news.tell)
        self._parts = parts
        self._clicker: Clicker | None = None
        self._clicking = threading.Lock()
        self._open: OrderedDict[int, Any] = OrderedDict()
        self._exporting = {one.name: threading.Lock() for one in export_choices()}
        self._matting = threading.Lock()
        self._matte: tuple[int, str, UInt8Array] | None = None

    def state(self) -> dict[str, Any]:
        """Return all that a page shows, but for pictures and label maps."""
        project = self.project
        with project.lock:
            return {
                **self._summary(),
                "video": _page_facts(project, self.frames),
                "tracked": [[k, frame_news(one)] for k, one in sorted(project.tracked.items())],
                "job": asdict(self.job.state),
            }

    def draw(self, frame: int, labels: UInt8Array, tag: str, what: str) -> str:
        """Take up a drawn label map, and return its new tag; see ``Project.draw``."""
        if self.project.draw(frame, labels, tag, what):
            self._announce(frame)
        return self.project.tag(frame)

    def erase(self, frame: int) -> None:
        """Drop the correction of a frame."""
        self.project.erase(frame)
        self._announce(frame)

    def set_objects(self, objects: Sequence[StudioObject], what: str) -> None:
        """Replace the list of objects; see ``Project.set_objects``."""
        self.project.set_objects(objects, what)
        self._announce(None)

    def move(self, steps: int) -> int | None:
        """Undo (-1) or redo (1); return the frame that changed."""
        frame = self.project.move(steps)
        self._announce(frame)
        return frame

    def track(self, frame: int, direction: Direction) -> None:
        """Begin to track; see ``plan_legs``."""
        project = self.project
        self.job.start(
            plan_legs(
                frame, direction, project.corrected, project.video.count, project.tracked.keys()
            )
        )

    def prepare(self, frame: int) -> None:
        """Prepare a frame for clicks."""
        with self._clicking:
            self._opened(frame)

    def click(
        self, frame: int, clicks: Sequence[Click], box: Box | None, start: BoolArray | None = None
    ) -> BoolArray:
        """Return the mask (H, W) of what was clicked on; nothing is changed.

        ``start`` is the mask that the object has already; see ``ClickFrame.segment``.
        """
        with self._clicking:
            mask: BoolArray = self._opened(frame).segment(clicks, box, start=start)
        return mask

    def suggest(self, frame: int) -> FirstMask:
        """Propose objects of a frame, from it and the second after it; nothing is changed.

        Raises:
            InputError: there is no such frame, or nothing stands out.
        """
        video = self.project.video
        self.project.check_frame(frame)
        last = min(video.count - 1, frame + max(3, round(video.rate)))
        images = (image for _, image in self.frames.between(frame, last))
        from vostrack.proposers.first_mask import NothingFoundError

        with self._clicking:
            try:
                return self._parts.propose(images)
            except NothingFoundError:
                raise InputError(
                    f"suggestions: no object stands out in frame {frame} and the second after it; "
                    "outline the object, or go to another frame"
                ) from None

    def layer(self, frame: int, kind: Literal["matte", "scores"]) -> tuple[UInt8Array, str]:
        """Return how much of each pixel (H, W) is object, 0..255, and the label map's tag.

        Args:
            frame: its number.
            kind: ``matte``, with edges as soft as in the picture; ``scores``, how sure the tracker
                was.
        """
        if kind == "scores":
            return self.project.scores(frame)
        labels, tag = self.project.labels(frame)
        with self._matting:
            if self._matte is None or self._matte[:2] != (frame, tag):
                matte = soft_matte(self.frames.image(frame), labels)
                self._matte = frame, tag, matte
            return self._matte[2], tag

    def export(self, name: str) -> Exported:
        """Export the project as it is now; see ``export_project``.

        Equal exports are made one by one.
        """
        with self.project.frozen() as state, self._exporting.get(name, nullcontext()):
            return export_project(state, self.frames.source, name)

    def close(self) -> None:
        """Stop tracking and write what is known."""
        self.job.stop()
        with suppress(ProjectGoneError):
            self.project.write_tracked()

    def _opened(self, frame: int) -> Any:
        self.project.check_frame(frame)
        if frame not in self._open:
            if self._clicker is None:
                self._clicker = self._parts.build_clicker()
            self._open[frame] = self._clicker.open(self.frames.image(frame))
            if len(self._open) > _OPEN_FRAMES:
                self._open.popitem(last=False)
        self._open.move_to_end(frame)
        return self._open[frame]

    def _summary(self) -> dict[str, Any]:
        undo, redo = self.project.steps()
        return {
            "version": self.project.version,
            "objects": [asdict(one) for one in self.project.objects],
            "next_id": self.project.next_id,
            "drawn": sorted(self.project.drawn.items()),
            "erased": sorted(self.project.erased.items()),
            "undo": undo,
            "redo": redo,
        }

    def _announce(self, frame: int | None) -> None:
        with self.project.lock:  # or older news could follow newer ones
            tag = None if frame is None else self.project.tag(frame)
            self.news.tell("edit", {**self._summary(), "frame": frame, "tag": tag})


def _page_facts(project: Project, frames: VideoFrames) -> dict[str, Any]:
    """Return what a page needs to know of the video: its name, not where it lies."""
    facts = asdict(project.video)
    del facts["digest"]
    name = video_name(Path(facts.pop("path")))
    seen = {"pixel_aspect": float(frames.source.pixel_aspect), "trouble": frames.trouble}
    return {"name": name, "renamed_from": project.renamed_from, **facts, **seen}
