"""Track one sequence of a dataset: the function that a dataset run gives to its processes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vostrack.arrays import BoolArray, UInt8Array
from vostrack.batch.job import Job, JobResult, Option
from vostrack.build import build_tracker
from vostrack.errors import InputError
from vostrack.masks import (
    VOID,
    check_first_mask,
    read_label_map,
    write_label_map,
)
from vostrack.masks.parsed_mask import ParsedMask
from vostrack.masks.validation import MIN_PIXELS, FirstMask, finish
from vostrack.presets.options import TrackerOptions
from vostrack.proposers.first_mask import propose_first_mask
from vostrack.runs.request import MethodOptions
from vostrack.runs.writing_behind import WritingBehind
from vostrack.tracking.video import track_video
from vostrack.video import FrameSource, open_source

__all__ = ["PROPOSED", "given_masks", "job_options", "track_sequence"]

# The masks of data sets are trusted to hold ids, however many; 254 is what a PNG can hold.
_MOST = 254
_RUN_OPTIONS = ("preset", "device", "weights")

PROPOSED = "proposed_objects"
"""Option of a job without a first mask: how many objects are proposed; 0: those that stand out."""


def track_sequence(job: Job) -> JobResult:
    """Track the frames of ``job`` and write a palette PNG for each into its folder.

    Args:
        job: its options are ``preset``, ``device``, ``weights`` and the fields of
            ``TrackerOptions``; see ``job_options``. ``PROPOSED`` stands for a missing first mask.

    Objects of the job's later masks are added at their frames; there, only ids that no earlier mask
    had count.

    Raises:
        InputError: there is no first mask, a mask cannot be used, or an option is unknown.
    """
    began = time.perf_counter()
    if job.first_mask is None and PROPOSED not in job.options:
        raise InputError(
            f"sequence {job.name}: it has no first mask; the tracker needs the objects of one frame"
        )
    method = _method(job)
    with open_source(job.frames) as source:
        mask = _first_mask(job, source, method.device)
        tracker = build_tracker(
            method.preset, device=method.device, weights=method.weights, options=method.options
        )
        count = 0
        masks = given_masks(job, mask.labels) if job.first_mask is not None else mask.labels
        with WritingBehind() as writing:
            for step in track_video(tracker, source, masks):
                path = job.folder / f"{job.frame_names[step.frame.index]}.png"
                writing.add(partial(write_label_map, path, step.result.labels))
                count += 1
    seconds = time.perf_counter() - began
    return JobResult(job.name, count, seconds, warnings=mask.warnings)


def given_masks(job: Job, first: UInt8Array) -> dict[int, UInt8Array]:
    """Return the masks of the objects that are given, by the number of their frame.

    Args:
        job: its ``later_masks`` give further objects.
        first: (H, W), the ids of the first frame.

    Returns:
        For the first frame, and each later one in which there are any, the ids (H, W) that are
        given there: those that no earlier mask had, or, where the job has ``starts``, those that
        start there. 0 elsewhere.

    Raises:
        InputError: a mask cannot be read, or does not have the size of the first; or no mask shows
            any object of the metadata.
    """
    known = np.zeros(256, dtype=bool)
    known[[0, VOID]] = True
    shown_ids = np.setdiff1d(first, (0, VOID))
    first = np.where(_given_in(job, 0)[first] | known[first], first, np.uint8(0))
    known[np.unique(first)] = True
    found = {0: first}
    for index, path in sorted(job.later_masks):
        labels = read_label_map(path)
        if labels.shape != first.shape:
            raise InputError(
                f"sequence {job.name}: {path} is {labels.shape[1]}x{labels.shape[0]}, expected "
                f"{first.shape[1]}x{first.shape[0]} like the first mask"
            )
        new = np.where(_given_in(job, index)[labels] & ~known[labels], labels, np.uint8(0))
        known[np.unique(new)] = True
        if new.any():
            found[index] = new
    if not any(labels.any() for labels in found.values()):
        shown = ", ".join(map(str, shown_ids)) or "none"
        raise InputError(
            f"sequence {job.name}: expected the ids {', '.join(str(n) for n, _ in job.starts)} of "
            f"the metadata in the given masks, got {shown} in {job.first_mask}; correct the "
            "metadata or the masks"
        )
    return found


def _given_in(job: Job, index: int) -> BoolArray:
    """Return for each id, (256,), whether its object may be given in a frame."""
    if not job.starts:
        return np.ones(256, dtype=bool)
    table = np.zeros(256, dtype=bool)
    table[[number for number, start in job.starts if start == index]] = True
    return table


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
    options = {key: value for key, value in job.options.items() if key != PROPOSED}
    named = {key: options.pop(key) for key in _RUN_OPTIONS if key in options}
    for key in options:
        if key not in known:
            raise InputError(f"option {key}: unknown, expected one of {', '.join(known)}")
    return MethodOptions(**named, options=TrackerOptions(**options))  # type: ignore[arg-type]


def _first_mask(job: Job, source: FrameSource, device: str) -> FirstMask:
    size = source.size
    if job.first_mask is None:
        objects = int(str(job.options[PROPOSED])) or None
        return propose_first_mask(source, objects=objects, device=device)
    labels = read_label_map(job.first_mask)
    if job.semantics == "binary":
        return check_first_mask(labels > 0, size=size, max_objects=_MOST)
    return _mask_of_ids(labels, job, size)


def _mask_of_ids(labels: UInt8Array, job: Job, size: tuple[int, int]) -> FirstMask:
    """Check the first mask of a data set, whose values are ids and are not interpreted.

    Only where 0 and 255 are its values, and no metadata name an object, is 255 an object.
    """
    parsed = ParsedMask(labels)
    if not job.starts and np.unique(labels).tolist() == [0, VOID]:
        parsed = ParsedMask((labels > 0).astype(np.uint8)).noted(
            f"{job.first_mask}: holds 0 and 255 only, as the masks of DAVIS 2016 do; 255 is read "
            "as object 1; give `year=2016` for such a set"
        )
    return finish(parsed, str(job.first_mask), size, MIN_PIXELS)
