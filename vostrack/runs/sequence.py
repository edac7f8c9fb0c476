"""Track one sequence of a dataset: the function that a dataset run gives to its processes."""

from __future__ import annotations

import time

from vostrack.batch.job import Job, JobResult
from vostrack.build import TrackerOptions, build_tracker
from vostrack.errors import InputError
from vostrack.masks import check_first_mask, read_first_mask, read_label_map, write_label_map
from vostrack.masks.validation import FirstMask
from vostrack.tracking.video import track_video
from vostrack.video import open_source

__all__ = ["track_sequence"]

# DAVIS and YouTube-VOS masks are trusted to hold ids, however many; 254 is what a PNG can hold.
_MOST = 254


def track_sequence(job: Job) -> JobResult:
    """Track the frames of ``job`` and write a palette PNG for each into its folder.

    Args:
        job: its options are ``preset``, ``device``, ``weights`` and the fields of
            ``TrackerOptions``.

    Raises:
        InputError: there is no first mask, objects appear later, or an option is unknown.
    """
    began = time.perf_counter()
    if job.first_mask is None:
        raise InputError(
            f"sequence {job.name}: it has no first mask; the tracker needs the objects of one frame"
        )
    if job.later_masks:
        raise InputError(
            f"sequence {job.name}: further objects appear in {len(job.later_masks)} later frames, "
            "which the tracker cannot take up; choose a dataset whose objects are all in the first"
        )
    options = dict(job.options)
    named = {
        key: str(options.pop(key)) for key in ("preset", "device", "weights") if key in options
    }
    known = TrackerOptions.__dataclass_fields__
    for key in options:
        if key not in known:
            raise InputError(f"option {key}: unknown, expected one of {', '.join(known)}")
    with open_source(job.frames) as source:
        mask = _first_mask(job, source.size)
        tracker = build_tracker(
            named.get("preset", "balanced"),
            device=named.get("device", "auto"),
            weights=named.get("weights", "auto"),
            options=TrackerOptions(**options),  # type: ignore[arg-type]
        )
        count = 0
        for frame, result, _ in track_video(tracker, source, mask.labels):
            write_label_map(job.folder / f"{job.frame_names[frame.index]}.png", result.labels)
            count += 1
    return JobResult(job.name, count, time.perf_counter() - began)


def _first_mask(job: Job, size: tuple[int, int]) -> FirstMask:
    assert job.first_mask is not None
    if job.semantics == "binary":
        labels = read_label_map(job.first_mask)
        return check_first_mask(labels > 0, size=size, max_objects=_MOST)
    return read_first_mask(job.first_mask, size=size, max_objects=_MOST)
