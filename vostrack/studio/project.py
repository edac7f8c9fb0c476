"""A project: the label maps of a video, drawn and tracked, on disk at every moment."""

from __future__ import annotations

import copy
import shutil
import tempfile
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.masks import write_label_map
from vostrack.studio.disk_errors import ProjectGoneError
from vostrack.studio.frame_masks import FrameMasks
from vostrack.studio.journal import (
    JOURNAL,
    Edit,
    Journal,
    StudioObject,
    VideoFacts,
    read_journal,
    write_journal,
)
from vostrack.studio.object_list import LONGEST_NAME, check_shown, checked_objects
from vostrack.studio.plain_text import without_control
from vostrack.studio.tracked import TrackedMask, TrackedMasks

__all__ = ["ConflictError", "Project", "StudioObject", "TrackedMask"]

_STATE = ".state-"


class ConflictError(Exception):
    """An edit was drawn on a label map that has changed meanwhile."""


class Project:
    """The state of a project. Its methods may be called from any thread.

    Args:
        folder: of the project; it is created.
        video: what it belongs to.

    Attributes:
        renamed_from: the name that its video had when it was open before, if it was another.
    """

    def __init__(self, folder: Path, video: VideoFacts) -> None:
        """Open a project, or begin one.

        Raises:
            InputError: the folder belongs to another video, or its journal is damaged.
        """
        self.folder = folder
        self.lock = threading.RLock()
        self._file = folder / JOURNAL
        self._journal = read_journal(self._file) if self._file.exists() else Journal(video)
        self.check_video(video)
        before, now = Path(self.video.path).name, Path(video.path).name
        self.renamed_from = before if before != now else ""
        if self.video != video or not self._file.exists():
            # At once, so that no other video takes the folder before the first edit.
            self._journal = replace(self._journal, video=video)
            write_journal(self._journal, self._file)
        self._tracked = TrackedMasks(folder, video.count)
        self._version = time.time_ns() // 1_000_000
        for left in (folder / "exports").glob(f"{_STATE}*"):  # by a server that was killed
            shutil.rmtree(left, ignore_errors=True)

    @property
    def version(self) -> int:
        """A number that rises with every change of masks or objects, also over restarts."""
        return self._version

    @property
    def video(self) -> VideoFacts:
        """What the project belongs to."""
        return self._journal.video

    def check_video(self, video: VideoFacts) -> None:
        """Check that the project belongs to a video.

        Raises:
            InputError: it belongs to another.
        """
        self.video.check(video, self.folder)

    @property
    def objects(self) -> tuple[StudioObject, ...]:
        """The objects, by ascending id."""
        return self._journal.objects

    @property
    def corrected(self) -> list[int]:
        """The frames that a person drew, ascending."""
        return sorted(self._journal.drawings)

    @property
    def drawn(self) -> dict[int, list[int]]:
        """The ids of the objects that a person drew, by frame."""
        return self._journal.drawn()

    @property
    def erased(self) -> dict[int, list[int]]:
        """The ids of the objects that a person took out of frames, by frame."""
        return self._journal.erased()

    @property
    def tracked(self) -> dict[int, TrackedMask]:
        """What the tracker found of the objects that there are, by frame."""
        with self.lock:
            known = {one.id for one in self.objects}
            ends = [one for one in self.objects if one.last is not None]
            return {
                k: found.without([other.id for other in ends if other.ended(k)])
                for k, one in self._tracked.all().items()
                if (found := one.only(known)) is not None
            }

    def settled(self, frame: int) -> set[int]:
        """Return the ids of the objects whose masks in a frame a person drew, or took out of it."""
        with self.lock:
            return self._masks.settled(frame)

    def stated(self, frame: int) -> set[int]:
        """Return the ids of the objects that were drawn, taken out or looked for in a frame."""
        with self.lock:
            return self._masks.stated(frame)

    @property
    def next_id(self) -> int:
        """The id of the next new object: none that was drawn or tracked before is used again."""
        with self.lock:
            ids = {one.id for one in self.objects} | self._journal.deleted
            for one in self._tracked.all().values():
                ids |= one.presence.keys()
        return 1 + max(ids, default=0)

    def steps(self) -> tuple[str | None, str | None]:
        """Return in words what undo and redo would do; None for nothing."""
        return self._journal.steps

    def check_frame(self, frame: int) -> None:
        """Check that the video has a frame.

        Raises:
            InputError: it has not.
        """
        if not 0 <= frame < self.video.count:
            raise InputError(f"frame: expected 0..{self.video.count - 1}, got {frame}")

    def tag(self, frame: int) -> str:
        """Return the tag of a frame's label map: it changes with the map."""
        with self.lock:
            return self._masks.tag(frame)

    def labels(self, frame: int) -> tuple[UInt8Array, str]:
        """Return the label map (H, W) of a frame, zeros where there is none, and its tag."""
        self.check_frame(frame)
        self._check_there()
        with self.lock:
            return self._masks.labels(frame), self._masks.tag(frame)

    def scores(self, frame: int) -> tuple[UInt8Array, str]:
        """Return how sure the tracker was of each pixel (H, W), 0..255, and the label map's tag.

        What a person drew is certain. Zeros where nothing was tracked.
        """
        self.check_frame(frame)
        self._check_there()
        with self.lock:
            return self._masks.scores(frame), self._masks.tag(frame)

    def draw(self, frame: int, labels: UInt8Array, tag: str, what: str) -> bool:
        """Take up what a person drew. What is shown already is no edit, and changes nothing.

        Args:
            frame: its number.
            labels: (H, W) uint8, 0 and ids of objects.
            tag: of the label map that it was drawn on.
            what: in words, for undo.

        Returns:
            Whether it changed the frame.

        Raises:
            InputError: the label map has another size, or an id that no object has.
            ConflictError: the frame has another label map by now.
            ProjectGoneError: the folder of the project is gone, as from all that reads or writes.
        """
        self.check_frame(frame)
        self._check_there()
        if labels.shape != (self.video.height, self.video.width):
            raise InputError(
                f"mask: expected {self.video.width} x {self.video.height} pixels like the video, "
                f"got {labels.shape[1]} x {labels.shape[0]}"
            )
        with self.lock:
            ids = set(np.unique(labels).tolist()) - {0}
            if tag != self._masks.tag(frame):
                raise ConflictError(f"frame {frame} was changed meanwhile; its new mask is shown")
            check_shown(self.objects, frame, ids)
            if np.array_equal(labels, self._masks.labels(frame)):
                return False  # or later corrections of the tracker would stop at this frame
            name = f"{len(list((self.folder / 'edits').glob('*.png'))):06d}.png"
            while (self.folder / "edits" / name).exists():
                name = f"{int(name[:6]) + 1:06d}.png"
            labels = self._masks.with_ended(frame, labels)
            ids = set(np.unique(labels).tolist()) - {0}
            write_label_map(self.folder / "edits" / name, labels)
            absent = self._masks.absent(frame, ids)
            self._add(Edit(_words(what), self.objects, frame, name, tuple(sorted(ids)), absent))
        return True

    def erase(self, frame: int) -> None:
        """Forget what a person drew in a frame; the tracker's mask shows again."""
        self.check_frame(frame)
        with self.lock:
            if frame in self._journal.drawings:
                self._add(Edit("drop correction", self.objects, frame, None))

    def set_objects(self, objects: Sequence[StudioObject], what: str) -> None:
        """Replace the list of objects.

        Raises:
            InputError: an id, a name, a colour or a last frame cannot be used.
        """
        ordered = checked_objects(objects)
        for one in ordered:
            if one.last is not None:
                self.check_frame(one.last)
        with self.lock:
            self._add(Edit(_words(what), ordered))

    def move(self, steps: int) -> int | None:
        """Undo (-1) or redo (1) one edit; return the frame that changed, None for none."""
        self._check_there()
        with self.lock:
            before = self._journal
            after = before.moved(steps)
            if after.done != before.done:
                self._keep(after)
                edit = before.edits[min(before.done, after.done)]
                return edit.frame
        return None

    def track(
        self,
        frame: int,
        labels: UInt8Array,
        presence: dict[int, float],
        scores: UInt8Array | None = None,
        others: Collection[int] = (),
    ) -> TrackedMask:
        """Take up what the tracker found in a frame.

        Args:
            frame: its number.
            labels: (H, W) uint8, ids of objects.
            presence: probability that each object is visible, by id.
            scores: (H, W) uint8, the best score of each pixel; 255 is certain.
            others: ids whose earlier masks stay where the tracker did not look for them.
        """
        self._check_there()
        with self.lock:
            found = self._tracked.add(frame, labels, presence, scores, others)
            self._version += 1
            return found

    def write_tracked(self) -> None:
        """Write what the tracker said of every frame."""
        self._check_there()
        with self.lock:
            self._tracked.write()

    @contextmanager
    def frozen(self) -> Iterator[Project]:
        """Give the project as it is now, to read: it stays so, whatever is drawn and tracked."""
        self._check_there()
        exports = self.folder / "exports"
        exports.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=_STATE, dir=exports) as place:
            state = copy.copy(self)
            with self.lock:
                # Files of what was drawn never change, nor does a journal.
                state._journal, state._version = self._journal, self._version
                state._tracked = self._tracked.kept_in(Path(place))
            state.lock = threading.RLock()
            yield state

    @property
    def _masks(self) -> FrameMasks:
        return FrameMasks(self.folder, self._journal, self._tracked)

    def _check_there(self) -> None:
        """Refuse to make the folder anew: most of the project would be missing from it."""
        if not self.folder.is_dir():
            raise ProjectGoneError(self.folder)

    def _add(self, edit: Edit) -> None:
        self._check_there()
        self._keep(self._journal.added(edit))

    def _keep(self, journal: Journal) -> None:
        write_journal(journal, self._file)
        self._journal = journal
        self._version += 1


def _words(what: str) -> str:
    return without_control(what)[:LONGEST_NAME]
