"""Track one sequence of a dataset: the function that a dataset run gives to its processes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.batch.job import Job, JobResult, Option
from vostrack.build import build_tracker
from vostrack.errors import InputError
from vostrack.masks import (
    VOID,
    check_first_mask,
    read_first_mask,
    read_label_map,
    write_label_map,
)
from vostrack.masks.validation import FirstMask
from vostrack.presets.options import TrackerOptions
from vostrack.runs.request import MethodOptions
from vostrack.tracking.video import track_video
from vostrack.video import open_source

__all__ = ["GivenObjects", "job_options", "track_sequence"]

# DAVIS and YouTube-VOS masks are trusted to hold ids, however many; 254 is what a PNG can hold.
_MOST = 254
_RUN_OPTIONS = ("preset", "device", "weights")


def track_sequence(job: Job) -> JobResult:
    """Track the frames of ``job`` and write a palette PNG for each into its folder.

    Args:
        job: its options are ``preset``, ``device``, ``weights`` and the fields of
            ``TrackerOptions``; see ``job_options``.

    Objects of the job's later masks are added at their frames; there, only ids that no earlier mask
    had count.

    Raises:
        InputError: there is no first mask, a mask cannot be used, or an option is unknown.
    """
    began = time.perf_counter()
    if job.first_mask is None:
        raise InputError(
            f"sequence {job.name}: it has no first mask; the tracker needs the objects of one frame"
        )
    method = _method(job)
    with open_source(job.frames) as source:
        mask = _first_mask(job, source.size)
        tracker = build_tracker(
            method.preset, device=method.device, weights=method.weights, options=method.options
        )
        count, given = 0, GivenObjects(job, mask.labels)
        for step in track_video(tracker, source, mask.labels):
            result = step.result
            new = given.new_in(step.frame.index)
            if new is not None:
                result = tracker.add_objects(step.frame.image, new)
            name = f"{job.frame_names[step.frame.index]}.png"
            write_label_map(job.folder / name, result.labels)
            count += 1
    return JobResult(job.name, count, time.perf_counter() - began)


class GivenObjects:
    """The objects that are given in the later frames of a job."""

    def __init__(self, job: Job, first: UInt8Array) -> None:
        """Remember which ids are known.

        Args:
            job: its ``later_masks`` give further objects.
            first: (H, W), the ids of the first frame.
        """
        self._name = job.name
        self._size = first.shape
        self._later = dict(job.later_masks)
        self._known = np.zeros(256, dtype=bool)
        self._known[[0, VOID]] = True
        self._known[np.unique(first)] = True

    def new_in(self, index: int) -> UInt8Array | None:
        """Return the objects that are given in a frame for the first time.

        Args:
            index: number of the frame. Frames must be asked for in order.

        Returns:
            (H, W) ids, 0 elsewhere; None if there are none.

        Raises:
            InputError: the mask of the frame cannot be read, or does not have the frame's size.
        """
        path = self._later.get(index)
        if path is None:
            return None
        labels = read_label_map(path)
        if labels.shape != self._size:
            raise InputError(
                f"sequence {self._name}: {path} is {labels.shape[1]}x{labels.shape[0]}, expected "
                f"{self._size[1]}x{self._size[0]} like the first mask"
            )
        new = np.where(self._known[labels], np.uint8(0), labels)
        self._known[np.unique(new)] = True
        return new if new.any() else None


def job_options(method: MethodOptions) -> dict[str, Option]:
    """Return what a job's result depends on, for ``track_sequence``.

    Options of the tracker that are at their defaults are left out.
    """
    options = {name: getattr(method, name) for name in _RUN_OPTIONS}
    options |= {"seed": method.options.seed, **method.options.changed()}
    return {name: _portable(value) for name, value in options.items()}


def _portable(value: Any) -> Any:
    """Return a value as plain data, files by their absolute paths.

    The processes of a cluster run in folders of their own.
    """
    if isinstance(value, Mapping):
        return {name: _portable(entry) for name, entry in value.items()}
    if isinstance(value, str | Path) and (isinstance(value, Path) or Path(value).is_file()):
        return str(Path(value).absolute())
    return value


def _method(job: Job) -> MethodOptions:
    known = TrackerOptions.__dataclass_fields__
    options = dict(job.options)
    named = {key: options.pop(key) for key in _RUN_OPTIONS if key in options}
    for key in options:
        if key not in known:
            raise InputError(f"option {key}: unknown, expected one of {', '.join(known)}")
    return MethodOptions(**named, options=TrackerOptions(**options))  # type: ignore[arg-type]


def _first_mask(job: Job, size: tuple[int, int]) -> FirstMask:
    assert job.first_mask is not None
    if job.semantics == "binary":
        labels = read_label_map(job.first_mask)
        return check_first_mask(labels > 0, size=size, max_objects=_MOST)
    return read_first_mask(job.first_mask, size=size, max_objects=_MOST)
