"""What is shown of a frame: what a person drew, and the rest as the tracker found it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vostrack.arrays import BoolArray, UInt8Array
from vostrack.errors import InputError
from vostrack.masks import read_label_map
from vostrack.studio.journal import Edit, Journal
from vostrack.studio.tracked import TrackedMasks

__all__ = ["FrameMasks"]


@dataclass(frozen=True)
class FrameMasks:
    """The label maps of a project as it is now. It does no locking.

    Attributes:
        folder: of the project.
        journal: what a person drew.
        tracked: what the tracker found.
    """

    folder: Path
    journal: Journal
    tracked: TrackedMasks

    def settled(self, frame: int) -> set[int]:
        """Return the ids of the objects whose masks in a frame a person drew, or took out of it."""
        edit = self._edit(frame)
        return set() if edit is None else edit.settled

    def stated(self, frame: int) -> set[int]:
        """Return the ids of the objects that were drawn, taken out or looked for in a frame."""
        return self.settled(frame) | self.tracked.ids(frame)

    def labels(self, frame: int) -> UInt8Array:
        """Return the label map (H, W), zeros where there is none."""
        found, edit = self._found(frame), self._edit(frame)
        video = self.journal.video
        labels = np.zeros((video.height, video.width), np.uint8)
        if found:
            labels = _only(self._checked(self.tracked.labels(frame), frame), found)
        if edit is None:
            return labels
        drawn = self._checked(read_label_map(self.folder / "edits" / str(edit.labels)), frame)
        drawn = _only(drawn, self.journal.shown(frame))
        return np.where(drawn > 0, drawn, labels).astype(np.uint8)

    def scores(self, frame: int) -> UInt8Array:
        """Return how sure the tracker was of each pixel (H, W), 0..255.

        What a person drew is certain. Zeros where nothing was tracked.
        """
        labels, others = self.labels(frame), self._found(frame)
        found = self.tracked.scores(frame) if others else None
        if found is None or found.shape != labels.shape:
            return np.where(labels > 0, 255, 0).astype(np.uint8)
        drawn = _only(labels, self.settled(frame)) > 0
        # The scores do not say whose they are.
        ours = _nearest_to(self.tracked.labels(frame), others)
        return np.where(drawn, 255, np.where(ours, found, 0)).astype(np.uint8)

    def tag(self, frame: int) -> str:
        """Return the tag of the label map: it changes with the map."""
        edit, found = self._edit(frame), self.tracked.tag(frame)
        if edit is None and found is None:
            return "empty"
        ids = self.tracked.ids(frame) - self.settled(frame)
        if edit is not None:
            ids |= edit.settled if edit.ids is None else {*edit.ids}
        parts = [] if edit is None else [f"drawn-{str(edit.labels)[:-4]}"]
        parts += [str(found)] if edit is None or self._found(frame) else []
        parts += [f"without-{number}" for number in sorted(ids - self.journal.shown(frame))]
        return "-".join(parts)

    def with_ended(self, frame: int, labels: UInt8Array) -> UInt8Array:
        """Add what was drawn of objects that have ended to a new label map (H, W).

        They are not seen there, but may go on later.
        """
        edit, ended = self._edit(frame), self._ended(frame)
        if edit is None or not ended:
            return labels
        drawn = _only(read_label_map(self.folder / "edits" / str(edit.labels)), ended)
        return np.where(labels > 0, labels, drawn).astype(np.uint8)

    def absent(self, frame: int, ids: set[int]) -> tuple[int, ...] | None:
        """Return what a new label map says is absent; see ``Edit.absent``.

        Args:
            frame: its number.
            ids: of the objects in the new label map.
        """
        edit = self._edit(frame)
        if edit is not None and edit.absent is None:
            return None
        before = {int(number) for number in np.unique(self.labels(frame)) if number}
        # Nobody took out an object that was not to be seen, because it had ended.
        stated = self.settled(frame) & self.journal.shown(frame)
        if edit is not None:  # of what was drawn, it stays said
            stated |= {*(edit.absent or ())} & self._ended(frame)
        return tuple(sorted((before | stated) - ids))

    def _checked(self, labels: UInt8Array, frame: int) -> UInt8Array:
        """Return a label map that was read.

        Raises:
            InputError: it has not the size of the video.
        """
        video = self.journal.video
        if labels.shape != (video.height, video.width):
            raise InputError(
                f"mask: that of frame {frame} in {self.folder} has {labels.shape[1]} x "
                f"{labels.shape[0]} pixels, expected {video.width} x {video.height}; the project "
                "is damaged: bring that file back from a copy, or draw the frame in a new project"
            )
        return labels

    def _edit(self, frame: int) -> Edit | None:
        return self.journal.drawings.get(frame)

    def _ended(self, frame: int) -> set[int]:
        return {one.id for one in self.journal.objects if one.ended(frame)}

    def _found(self, frame: int) -> set[int]:
        """Return the ids of the objects that are shown as the tracker found them."""
        return self.tracked.ids(frame) & self.journal.shown(frame) - self.settled(frame)


def _only(labels: UInt8Array, ids: Collection[int]) -> UInt8Array:
    return np.where(np.isin(labels, sorted(ids)), labels, 0).astype(np.uint8)


def _nearest_to(labels: UInt8Array, ids: Collection[int]) -> BoolArray:
    """Tell of each pixel (H, W) whether one of some objects is nearer than any other object."""
    wanted = _only(labels, ids) > 0
    others = (labels > 0) & ~wanted
    if not others.any():
        return np.ones(labels.shape, np.bool_)
    if not wanted.any():
        return np.zeros(labels.shape, np.bool_)
    near, far = (
        cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
        for mask in (wanted, others)
    )
    return np.asarray(near < far)
