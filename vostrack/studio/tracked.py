"""What the tracker found in every frame, on disk at every moment."""

from __future__ import annotations

import copy
import json
import os
import shutil
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.files import atomic_path, parse_json
from vostrack.masks import read_label_map, write_label_map

__all__ = ["TrackedMask", "TrackedMasks"]

# Seconds between two writings of the presence of objects while frames are tracked.
_PRESENCE_EVERY = 1.0
# An object is doubtful if it may or may not be there, or if its area jumps by this factor.
_UNSURE, _JUMP = (0.15, 0.85), 2.5
# Scores are kept in steps of this many of 255: that halves their files and is not seen.
_SCORE_STEP = 5


@dataclass(frozen=True)
class TrackedMask:
    """What the tracker says of a frame.

    Attributes:
        presence: probability that each object is visible, by id.
        areas: pixels of each object, by id.
        doubtful: whether a person should look at it.
        serial: rises with every new result of the frame, also over restarts of the server.
    """

    presence: dict[int, float]
    areas: dict[int, int]
    doubtful: bool
    serial: int

    def only(self, ids: Collection[int]) -> TrackedMask | None:
        """Return what is said of some objects; None if it is about others alone."""
        presence = {number: value for number, value in self.presence.items() if number in ids}
        if not presence and (self.presence or not ids):
            return None
        areas = {number: area for number, area in self.areas.items() if number in ids}
        return replace(self, presence=presence, areas=areas)

    def without(self, ids: Collection[int]) -> TrackedMask:
        """Return what is left when some objects are known not to be there."""
        if not any(number in ids for number in self.presence):
            return self
        presence = {number: value for number, value in self.presence.items() if number not in ids}
        areas = {number: area for number, area in self.areas.items() if number not in ids}
        return replace(
            self, presence=presence, areas=areas, doubtful=self.doubtful and bool(presence)
        )


class TrackedMasks:
    """The label maps, scores and presence that the tracker gave. It does no locking.

    Args:
        folder: of the project.
        count: number of frames of the video.
    """

    def __init__(self, folder: Path, count: int) -> None:
        """Read what is there."""
        self._folder = folder
        self._found = self._read(count)
        self._written = time.monotonic()

    def all(self) -> dict[int, TrackedMask]:
        """Return what was found, by frame."""
        return dict(self._found)

    def tag(self, frame: int) -> str | None:
        """Return a name that changes with every new result of a frame; None for none."""
        found = self._found.get(frame)
        return None if found is None else f"tracked-{found.serial}"

    def ids(self, frame: int) -> set[int]:
        """Return the ids of the objects that were looked for in a frame."""
        found = self._found.get(frame)
        if found is None:
            return set()
        if not (found.presence or found.areas):  # not yet written when the server was killed
            counts = np.bincount(self.labels(frame).ravel(), minlength=256)
            found = replace(found, areas={n: int(counts[n]) for n in range(1, 256) if counts[n]})
            self._found[frame] = found
        return {*found.presence, *found.areas}

    def labels(self, frame: int) -> UInt8Array:
        """Return the label map (H, W) of a frame that was tracked."""
        return read_label_map(self._file("masks", frame))

    def scores(self, frame: int) -> UInt8Array | None:
        """Return the best score (H, W) of each pixel, 0..255; None if there is none."""
        path = self._file("scores", frame)
        # Of a file that is not there, OpenCV complains in the terminal.
        found = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.exists() else None
        return None if found is None else found.astype(np.uint8)

    def add(
        self,
        frame: int,
        labels: UInt8Array,
        presence: dict[int, float],
        scores: UInt8Array | None = None,
        others: Collection[int] = (),
    ) -> TrackedMask:
        """Take up a result; see ``Project.track``."""
        before = self._found.get(frame)
        kept = (self.ids(frame) & set(others)) - presence.keys()
        if before is not None and kept:
            earlier = self.labels(frame)
            stays = np.isin(earlier, sorted(kept)) & (labels == 0)
            labels = np.where(stays, earlier, labels).astype(np.uint8)
            presence = {**presence, **{n: before.presence.get(n, 1.0) for n in sorted(kept)}}
            known = self.scores(frame)
            if scores is not None and known is not None and known.shape == scores.shape:
                scores = np.where(stays, known, scores).astype(np.uint8)
        counts = np.bincount(labels.ravel(), minlength=256)
        areas = {number: int(counts[number]) for number in presence}
        around = [self._found[k] for k in (frame - 1, frame + 1) if k in self._found]
        doubtful = any(_is_doubtful(presence[n], areas[n], n, around) for n in presence)
        if scores is not None:
            self._write_scores(frame, scores)
        path = self._file("masks", frame)
        write_label_map(path, labels)
        serial = max(path.stat().st_mtime_ns, before.serial + 1 if before is not None else 0)
        found = TrackedMask(presence, areas, doubtful, serial)
        self._found[frame] = found
        if time.monotonic() - self._written > _PRESENCE_EVERY:
            self.write()
        return found

    def kept_in(self, folder: Path) -> TrackedMasks:
        """Return the label maps as they are now, to read; later results do not change them.

        Args:
            folder: an empty one, on the same disk.
        """
        kept = copy.copy(self)
        kept._folder, kept._found = folder, self.all()
        (folder / "masks").mkdir()
        for frame in self._found:
            mask, other = self._file("masks", frame), kept._file("masks", frame)
            try:
                os.link(mask, other)  # a new result is a new file: this one stays
            except OSError:  # not on every disk
                shutil.copyfile(mask, other)
        return kept

    def write(self) -> None:
        """Write the presence of every frame."""
        with atomic_path(self._folder / "tracked.json") as temporary:
            entries = {
                frame: [list(one.presence.items()), list(one.areas.items()), one.doubtful]
                for frame, one in self._found.items()
            }
            temporary.write_text(json.dumps(entries), "utf-8")
            self._written = time.monotonic()

    def _write_scores(self, frame: int, scores: UInt8Array) -> None:
        coarse = np.minimum(scores // _SCORE_STEP * _SCORE_STEP, 255).astype(np.uint8)
        made, data = cv2.imencode(".png", coarse, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        assert made
        with atomic_path(self._file("scores", frame)) as temporary:
            temporary.write_bytes(data.tobytes())

    def _file(self, kind: str, frame: int) -> Path:
        return self._folder / kind / f"{frame:05d}.png"

    def _read(self, count: int) -> dict[int, TrackedMask]:
        """Read what was tracked; a frame whose presence was not yet written counts as doubtful."""
        entries: Any = {}
        with suppress(OSError, ValueError):
            entries = parse_json((self._folder / "tracked.json").read_text("utf-8"))
        found: dict[int, TrackedMask] = {}
        for path in (self._folder / "masks").glob("*.png"):
            if not path.stem.isdecimal() or int(path.stem) >= count:
                continue
            frame = int(path.stem)
            serial = path.stat().st_mtime_ns
            found[frame] = TrackedMask({}, {}, True, serial)
            with suppress(AttributeError, LookupError, TypeError, ValueError):  # it is damaged
                presence, areas, doubtful = entries[str(frame)]
                found[frame] = TrackedMask(
                    {int(n): float(p) for n, p in presence},
                    {int(n): int(a) for n, a in areas},
                    bool(doubtful),
                    serial,
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
