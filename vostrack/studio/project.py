"""A project: the label maps of a video, drawn and tracked, on disk at every moment."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.files import atomic_path
from vostrack.masks import read_label_map, write_label_map
from vostrack.studio.journal import (
    Edit,
    Journal,
    StudioObject,
    VideoFacts,
    read_journal,
    write_journal,
)

__all__ = ["ConflictError", "Project", "StudioObject", "TrackedMask"]

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_MOST_OBJECTS = 254
_LONGEST_NAME = 80
# Seconds between two writings of the presence of objects while frames are tracked.
_PRESENCE_EVERY = 1.0
# An object is doubtful if it may or may not be there, or if its area jumps by this factor.
_UNSURE, _JUMP = (0.15, 0.85), 2.5


class ConflictError(Exception):
    """An edit was drawn on a label map that has changed meanwhile."""


@dataclass(frozen=True)
class TrackedMask:
    """What the tracker says of a frame.

    Attributes:
        presence: probability that each object is visible, by id.
        areas: pixels of each object, by id.
        doubtful: whether a person should look at it.
        serial: rises with every new result of the frame.
    """

    presence: dict[int, float]
    areas: dict[int, int]
    doubtful: bool
    serial: int


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
        self._file = folder / "project.json"
        self._journal = Journal(video)
        if self._file.exists():
            found = read_journal(self._file)
            if (found.video.width, found.video.height, found.video.count) != (
                video.width,
                video.height,
                video.count,
            ):
                raise InputError(
                    f"project: {folder} belongs to {found.video.path} with {found.video.count} "
                    f"frames of {found.video.width} x {found.video.height}, not to {video.path}; "
                    "give another folder as `project`"
                )
            self._journal = replace(found, video=video)
        self._tracked = self._read_tracked()
        self._written = time.monotonic()
        self._serial = 1 + max((one.serial for one in self._tracked.values()), default=0)

    @property
    def video(self) -> VideoFacts:
        """What the project belongs to."""
        return self._journal.video

    @property
    def objects(self) -> tuple[StudioObject, ...]:
        """The objects, by ascending id."""
        return self._journal.objects

    @property
    def corrected(self) -> list[int]:
        """The frames that a person drew, ascending."""
        return sorted(self._journal.corrected())

    @property
    def tracked(self) -> dict[int, TrackedMask]:
        """What the tracker found, by frame."""
        with self.lock:
            return dict(self._tracked)

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

    def labels(self, frame: int) -> tuple[UInt8Array, str]:
        """Return the label map (H, W) of a frame, zeros where there is none, and its tag."""
        self.check_frame(frame)
        with self.lock:
            tag = self._tag(frame)
            drawn = self._journal.corrected().get(frame)
            if drawn is not None:
                return read_label_map(self.folder / "edits" / drawn), tag
            if frame in self._tracked:
                return read_label_map(self._mask_file(frame)), tag
        return np.zeros((self.video.height, self.video.width), np.uint8), tag

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
            strange = sorted(set(np.unique(labels).tolist()) - known - {0})
            if strange:
                raise InputError(f"mask: no object has the id {strange[0]}; add the object first")
            if tag != self._tag(frame):
                raise ConflictError(f"frame {frame} was changed meanwhile; its new mask is shown")
            name = f"{len(list((self.folder / 'edits').glob('*.png'))):06d}.png"
            while (self.folder / "edits" / name).exists():
                name = f"{int(name[:6]) + 1:06d}.png"
            write_label_map(self.folder / "edits" / name, labels)
            self._add(Edit(what[:_LONGEST_NAME], self.objects, frame, name))

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
            if not 0 < len(one.name) <= _LONGEST_NAME:
                raise InputError(f"objects: expected a name of 1..{_LONGEST_NAME} characters")
            if one.last is not None:
                self.check_frame(one.last)
        with self.lock:
            self._add(Edit(what[:_LONGEST_NAME], ordered))

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

    def track(self, frame: int, labels: UInt8Array, presence: dict[int, float]) -> TrackedMask:
        """Take up what the tracker found in a frame.

        Args:
            frame: its number.
            labels: (H, W) uint8, ids of objects.
            presence: probability that each object is visible, by id.
        """
        counts = np.bincount(labels.ravel(), minlength=256)
        areas = {number: int(counts[number]) for number in presence}
        with self.lock:
            around = [self._tracked[k] for k in (frame - 1, frame + 1) if k in self._tracked]
            doubtful = any(_is_doubtful(presence[n], areas[n], n, around) for n in presence)
            write_label_map(self._mask_file(frame), labels)
            self._serial += 1
            found = TrackedMask(presence, areas, doubtful, self._serial)
            self._tracked[frame] = found
            if time.monotonic() - self._written > _PRESENCE_EVERY:
                self.write_tracked()
        return found

    def write_tracked(self) -> None:
        """Write what the tracker said of every frame."""
        with self.lock, atomic_path(self.folder / "tracked.json") as temporary:
            entries = {
                frame: [list(one.presence.items()), list(one.areas.items()), one.doubtful]
                for frame, one in self._tracked.items()
            }
            temporary.write_text(json.dumps(entries), "utf-8")
            self._written = time.monotonic()

    def _add(self, edit: Edit) -> None:
        journal = self._journal.added(edit)
        write_journal(journal, self._file)
        self._journal = journal

    def _tag(self, frame: int) -> str:
        drawn = self._journal.corrected().get(frame)
        if drawn is not None:
            return f"drawn-{drawn[:-4]}"
        found = self._tracked.get(frame)
        return "empty" if found is None else f"tracked-{found.serial}"

    def _mask_file(self, frame: int) -> Path:
        return self.folder / "masks" / f"{frame:05d}.png"

    def _read_tracked(self) -> dict[int, TrackedMask]:
        """Read what was tracked; a frame whose presence was not yet written counts as doubtful."""
        entries: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            entries = json.loads((self.folder / "tracked.json").read_text("utf-8"))
        found: dict[int, TrackedMask] = {}
        for path in (self.folder / "masks").glob("*.png"):
            if not path.stem.isdecimal() or int(path.stem) >= self.video.count:
                continue
            frame = int(path.stem)
            presence, areas, doubtful = entries.get(str(frame), [[], [], True])
            found[frame] = TrackedMask(
                {int(n): float(p) for n, p in presence},
                {int(n): int(a) for n, a in areas},
                bool(doubtful),
                1,
            )
        return found


def _is_doubtful(presence: float, area: int, number: int, around: Sequence[TrackedMask]) -> bool:
    """Tell whether an object may be wrong in a frame, from the frames beside it."""
    if _UNSURE[0] < presence < _UNSURE[1]:
        return True
    others = [one.areas[number] for one in around if one.areas.get(number)]
    if not others:
        return False
    if not area:
        return True
    ratio = area / others[0]
    return not 1 / _JUMP < ratio < _JUMP
