"""The journal of a project: what is written to ``project.json``."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from vostrack.errors import InputError
from vostrack.files import atomic_path, parse_json
from vostrack.wording import counted

__all__ = [
    "JOURNAL",
    "Edit",
    "Journal",
    "StudioObject",
    "VideoFacts",
    "read_journal",
    "write_journal",
]

JOURNAL = "project.json"
"""The name of the file in the folder of a project."""

_VERSION = 1
# A project may come from somebody else: its journal names no file outside of it.
_LABELS = re.compile(r"\d{6,}\.png")


@dataclass(frozen=True)
class VideoFacts:
    """What a project remembers of its video.

    Attributes:
        path: where it lies.
        width: of its frames, pixels.
        height: of its frames, pixels.
        count: number of frames.
        rate: frames per second.
        digest: of its content; see ``sample_digest``. Empty where it was not written down.
    """

    path: str
    width: int
    height: int
    count: int
    rate: float
    digest: str = ""

    def fits(self, video: VideoFacts) -> bool:
        """Tell whether a project of this video can be that of another: it has the same content."""
        return (self.width, self.height, self.count) == (
            video.width,
            video.height,
            video.count,
        ) and self.digest in ("", video.digest)

    def check(self, video: VideoFacts, folder: Path) -> None:
        """Check that a project of this video can be that of another.

        Args:
            video: the other.
            folder: of the project, for the message.

        Raises:
            InputError: it cannot.
        """
        if self.fits(video):
            return
        size = f"{counted(self.count, 'frame')} of {self.width} x {self.height}"
        other = (
            f"was made when {self.path} was another video, with {size}"
            if self.path == video.path
            else f"belongs to {self.path} with {size}, not to {video.path}"
        )
        raise InputError(
            f"project: {folder} {other}; move that folder away, or give another folder as `project`"
        )


@dataclass(frozen=True)
class StudioObject:
    """An object that a person named.

    Attributes:
        id: its value in label maps, 1..254.
        name: its name.
        colour: ``#rrggbb``.
        last: the last frame that it is in; None for the last of the video.
    """

    id: int
    name: str
    colour: str
    last: int | None = None

    def ended(self, frame: int) -> bool:
        """Tell whether it is gone by this frame."""
        return self.last is not None and frame > self.last


@dataclass(frozen=True)
class Edit:
    """One step that can be undone.

    Attributes:
        what: in words, for the button.
        objects: the objects afterwards.
        frame: whose label map changed; None for none.
        labels: name of the file with the label map afterwards; None if there is none any more.
        ids: of the objects in that label map; None if that was not written down.
        absent: ids of the objects that were taken out of it. It says nothing of all others. None
            if that was not written down: then none of the others is in the frame.
    """

    what: str
    objects: tuple[StudioObject, ...]
    frame: int | None = None
    labels: str | None = None
    ids: tuple[int, ...] | None = None
    absent: tuple[int, ...] | None = None

    @property
    def concerns(self) -> set[int]:
        """The ids that a drawn label map is about: without any in it, all that were not there."""
        return {*(self.ids or ()), *(self.absent or ())} or {one.id for one in self.objects}

    @property
    def settled(self) -> set[int]:
        """The ids of the objects whose masks a drawn label map states, also by their absence."""
        if self.ids is None or self.absent is None:
            return {*(self.ids or ()), *(one.id for one in self.objects)}
        return {*self.ids, *self.absent}


@dataclass(frozen=True)
class Journal:
    """All edits of a project, in order.

    Attributes:
        video: what they belong to.
        edits: every edit.
        done: how many of them hold; the others were undone.
    """

    video: VideoFacts
    edits: tuple[Edit, ...] = field(default=())
    done: int = 0

    @property
    def objects(self) -> tuple[StudioObject, ...]:
        """The objects as they are now."""
        return self.edits[self.done - 1].objects if self.done else ()

    @property
    def steps(self) -> tuple[str | None, str | None]:
        """In words, what undo and redo would do; None for nothing."""
        undo = self.edits[self.done - 1].what if self.done else None
        redo = self.edits[self.done].what if self.done < len(self.edits) else None
        return undo, redo

    @cached_property
    def deleted(self) -> set[int]:
        """The ids of objects that were there once."""
        once = {one.id for edit in self.edits[: self.done] for one in edit.objects}
        return once - {one.id for one in self.objects}

    def shown(self, frame: int) -> set[int]:
        """Return the ids of the objects that may be seen in a frame."""
        return {one.id for one in self.objects if not one.ended(frame)}

    def drawn(self) -> dict[int, list[int]]:
        """Return the ids of the objects in every frame that a person drew."""
        return {
            frame: sorted(self.shown(frame) & (edit.settled if edit.ids is None else {*edit.ids}))
            for frame, edit in self.drawings.items()
        }

    def erased(self) -> dict[int, list[int]]:
        """Return the ids of the objects that a person took out of frames."""
        found = {
            frame: sorted(self.shown(frame) & edit.settled - {*edit.ids})
            for frame, edit in self.drawings.items()
            if edit.ids is not None
        }
        return {frame: ids for frame, ids in found.items() if ids}

    @cached_property
    def drawings(self) -> dict[int, Edit]:
        """Return the edit that gave every frame that a person drew its label map.

        Frames that are about deleted objects alone are left out.
        """
        deleted = self.deleted
        found: dict[int, Edit] = {}
        for edit in self.edits[: self.done]:
            if edit.frame is None:
                continue
            if edit.labels is None or edit.concerns <= deleted:
                found.pop(edit.frame, None)
            else:
                found[edit.frame] = edit
        return found

    def added(self, edit: Edit) -> Journal:
        """Return the journal with one more edit in place of those that were undone."""
        edits = (*self.edits[: self.done], edit)
        return replace(self, edits=edits, done=len(edits))

    def moved(self, steps: int) -> Journal:
        """Return the journal with edits undone (-1) or redone (1), as far as there are any."""
        return replace(self, done=min(len(self.edits), max(0, self.done + steps)))


def write_journal(journal: Journal, path: Path) -> None:
    """Write a journal, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps({"version": _VERSION, **asdict(journal)}), "utf-8")


def read_journal(path: Path) -> Journal:
    """Read a journal.

    Raises:
        InputError: the file is damaged or of another version, or a newer vostrack wrote it.
    """
    try:
        found = parse_json(path.read_text("utf-8"))
        version = found["version"]
        if version == _VERSION:
            # What is not known would be lost with the next edit.
            strange = sorted(_unknown(found))
            if not strange:
                return _journal(found)
            raise InputError(
                f"project: {path} holds {strange[0]!r}, which this vostrack does not know: a newer "
                "one wrote it; open it with that, or give another folder as `project`"
            )
    except InputError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"project: {path} is damaged ({error}); give another folder as `project`"
        ) from None
    raise InputError(
        f"project: {path} has version {version}, expected {_VERSION}; open it with the vostrack "
        "that wrote it, or give another folder as `project`"
    )


def _unknown(found: dict[str, Any]) -> set[str]:
    """Return the names of fields that no journal of this version has."""
    parts: list[tuple[Any, dict[str, Any]]] = [(Journal, found), (VideoFacts, found["video"])]
    for entry in found["edits"]:
        parts += [(Edit, entry), *((StudioObject, one) for one in entry["objects"])]
    known = {kind: {one.name for one in fields(kind)} for kind in {kind for kind, _ in parts}}
    return {name for kind, one in parts for name in one.keys() - known[kind]} - {"version"}


def _journal(found: dict[str, Any]) -> Journal:
    video = VideoFacts(**found["video"])
    edits, done = tuple(_edit(entry) for entry in found["edits"]), int(found["done"])
    if not 0 <= done <= len(edits):
        raise ValueError(f"{done} of {len(edits)} edits cannot hold")
    for edit in edits:
        if edit.frame is not None and edit.frame not in range(video.count):
            raise ValueError(f"no frame of the video: {edit.frame!r}")
    return Journal(video, edits, done)


def _edit(entry: dict[str, Any]) -> Edit:
    objects = tuple(StudioObject(**one) for one in entry["objects"])
    if entry["labels"] is not None and not _LABELS.fullmatch(entry["labels"]):
        raise ValueError(f"no file of a project: {entry['labels']}")
    known, absent = (
        None if entry.get(kind) is None else tuple(map(int, entry[kind]))
        for kind in ("ids", "absent")
    )
    return Edit(entry["what"], objects, entry["frame"], entry["labels"], known, absent)
