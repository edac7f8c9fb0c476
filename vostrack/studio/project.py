"""A project: the label maps of a video, drawn and tracked, on disk at every moment."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.masks import read_label_map, write_label_map
from vostrack.studio.journal import (
    JOURNAL,
    Edit,
    Journal,
    StudioObject,
    VideoFacts,
    read_journal,
    write_journal,
)
from vostrack.studio.plain_text import is_plain_text
from vostrack.studio.tracked import TrackedMask, TrackedMasks

__all__ = ["ConflictError", "Project", "StudioObject", "TrackedMask"]

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_MOST_OBJECTS = 254
_LONGEST_NAME = 80


class ConflictError(Exception):
    """An edit was drawn on a label map that has changed meanwhile."""


class Project:
    """The state of a project. Its methods may be called from any thread.

    Args:
        folder: of the project; it is created.
        video: what it belongs to.
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
        if self.video != video or not self._file.exists():
            # At once, so that no other video takes the folder before the first edit.
            self._journal = replace(self._journal, video=video)
            write_journal(self._journal, self._file)
        self._tracked = TrackedMasks(folder, video.count)

    @property
    def video(self) -> VideoFacts:
        """What the project belongs to."""
        return self._journal.video

    def check_video(self, video: VideoFacts) -> None:
        """Check that the project belongs to a video.

        Raises:
            InputError: it belongs to another.
        """
        own = self.video
        if own.fits(video):
            return
        size = f"{own.count} frames of {own.width} x {own.height}"
        other = (
            f"was made when {own.path} was another video, with {size}"
            if own.path == video.path
            else f"belongs to {own.path} with {size}, not to {video.path}"
        )
        raise InputError(
            f"project: {self.folder} {other}; move that folder away, or give another folder as "
            "`project`"
        )

    @property
    def objects(self) -> tuple[StudioObject, ...]:
        """The objects, by ascending id."""
        return self._journal.objects

    @property
    def corrected(self) -> list[int]:
        """The frames that a person drew, ascending."""
        return sorted(self._journal.corrected())

    @property
    def drawn(self) -> dict[int, list[int]]:
        """The ids of the objects that a person drew, by frame."""
        return self._journal.drawn()

    @property
    def tracked(self) -> dict[int, TrackedMask]:
        """What the tracker found of the objects that there are, by frame."""
        with self.lock:
            known = {one.id for one in self.objects}
            found = {k: one.only(known) for k, one in self._tracked.all().items()}
            return {k: one for k, one in found.items() if one is not None}

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
        journal = self._journal
        undo = journal.edits[journal.done - 1].what if journal.done else None
        redo = journal.edits[journal.done].what if journal.done < len(journal.edits) else None
        return undo, redo

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
            return self._tag(frame)

    def labels(self, frame: int) -> tuple[UInt8Array, str]:
        """Return the label map (H, W) of a frame, zeros where there is none, and its tag."""
        self.check_frame(frame)
        with self.lock:
            tag = self._tag(frame)
            drawn = self._journal.corrected().get(frame)
            if drawn is not None:
                labels = read_label_map(self.folder / "edits" / drawn)
            elif self._tracked.tag(frame) is not None:
                labels = self._tracked.labels(frame)
            else:
                return self._empty(), tag
            known = [0, *(one.id for one in self.objects)]
        return np.where(np.isin(labels, known), labels, 0).astype(np.uint8), tag

    def scores(self, frame: int) -> tuple[UInt8Array, str]:
        """Return how sure the tracker was of each pixel (H, W), 0..255, and the label map's tag.

        What a person drew is certain. Zeros where nothing was tracked.
        """
        labels, tag = self.labels(frame)
        with self.lock:
            found = None if tag.startswith("drawn") else self._tracked.scores(frame)
        if found is None or found.shape != labels.shape:
            found = np.where(labels > 0, 255, 0).astype(np.uint8)
        return found, tag

    def draw(self, frame: int, labels: UInt8Array, tag: str, what: str) -> None:
        """Take up what a person drew.

        Args:
            frame: its number.
            labels: (H, W) uint8, 0 and ids of objects.
            tag: of the label map that it was drawn on.
            what: in words, for undo.

        Raises:
            InputError: the label map has another size, or an id that no object has.
            ConflictError: the frame has another label map by now.
        """
        self.check_frame(frame)
        if labels.shape != (self.video.height, self.video.width):
            raise InputError(
                f"mask: expected {self.video.width} x {self.video.height} pixels like the video, "
                f"got {labels.shape[1]} x {labels.shape[0]}"
            )
        with self.lock:
            known = {one.id for one in self.objects}
            ids = sorted(set(np.unique(labels).tolist()) - {0})
            strange = [number for number in ids if number not in known]
            if strange:
                raise InputError(f"mask: no object has the id {strange[0]}; add the object first")
            if tag != self._tag(frame):
                raise ConflictError(f"frame {frame} was changed meanwhile; its new mask is shown")
            name = f"{len(list((self.folder / 'edits').glob('*.png'))):06d}.png"
            while (self.folder / "edits" / name).exists():
                name = f"{int(name[:6]) + 1:06d}.png"
            write_label_map(self.folder / "edits" / name, labels)
            self._add(Edit(_words(what), self.objects, frame, name, tuple(ids)))

    def erase(self, frame: int) -> None:
        """Forget what a person drew in a frame; the tracker's mask shows again."""
        self.check_frame(frame)
        with self.lock:
            if frame in self._journal.corrected():
                self._add(Edit("drop correction", self.objects, frame, None))

    def set_objects(self, objects: Sequence[StudioObject], what: str) -> None:
        """Replace the list of objects.

        Raises:
            InputError: an id, a name, a colour or a last frame cannot be used.
        """
        ordered = tuple(sorted(objects, key=lambda one: one.id))
        if len({one.id for one in ordered}) != len(ordered):
            raise InputError("objects: two of them have the same id")
        for one in ordered:
            if not 1 <= one.id <= _MOST_OBJECTS:
                raise InputError(f"objects: expected ids in 1..{_MOST_OBJECTS}, got {one.id}")
            if not _COLOUR.fullmatch(one.colour):
                raise InputError(f"objects: expected a colour like #3366cc, got {one.colour!r}")
            if not 0 < len(one.name) <= _LONGEST_NAME or not is_plain_text(one.name):
                raise InputError(
                    f"objects: expected a name of 1..{_LONGEST_NAME} characters without line breaks"
                )
            if one.last is not None:
                self.check_frame(one.last)
        with self.lock:
            self._add(Edit(_words(what), ordered))

    def move(self, steps: int) -> int | None:
        """Undo (-1) or redo (1) one edit; return the frame that changed, None for none."""
        with self.lock:
            before = self._journal
            after = before.moved(steps)
            if after.done != before.done:
                write_journal(after, self._file)
                self._journal = after
                edit = before.edits[min(before.done, after.done)]
                return edit.frame
        return None

    def track(
        self,
        frame: int,
        labels: UInt8Array,
        presence: dict[int, float],
        scores: UInt8Array | None = None,
    ) -> TrackedMask:
        """Take up what the tracker found in a frame.

        Args:
            frame: its number.
            labels: (H, W) uint8, ids of objects.
            presence: probability that each object is visible, by id.
            scores: (H, W) uint8, the best score of each pixel; 255 is certain.
        """
        with self.lock:
            return self._tracked.add(frame, labels, presence, scores)

    def write_tracked(self) -> None:
        """Write what the tracker said of every frame."""
        with self.lock:
            self._tracked.write()

    def _add(self, edit: Edit) -> None:
        journal = self._journal.added(edit)
        write_journal(journal, self._file)
        self._journal = journal

    def _tag(self, frame: int) -> str:
        drawn = self._journal.corrected().get(frame)
        if drawn is None and self._tracked.tag(frame) is None:
            return "empty"
        hidden = "".join(f"-without-{number}" for number in sorted(self._journal.deleted))
        return (f"drawn-{drawn[:-4]}" if drawn else f"{self._tracked.tag(frame)}") + hidden

    def _empty(self) -> UInt8Array:
        return np.zeros((self.video.height, self.video.width), np.uint8)


def _words(what: str) -> str:
    return "".join(sign for sign in what if is_plain_text(sign))[:_LONGEST_NAME]
