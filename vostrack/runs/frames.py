"""The frames of a run: the source, and how its frames are called in the results."""

from __future__ import annotations

from vostrack.errors import InputError
from vostrack.files import expand_home
from vostrack.masks.several_frames import split_frame
from vostrack.runs.request import ClipRequest
from vostrack.video import FrameNames, FrameSource, open_source

__all__ = ["mask_position", "names_for", "open_frames"]


def open_frames(request: ClipRequest) -> FrameSource:
    """Open the frames of a request. Mask files that lie among the frames are no frames.

    Raises:
        InputError: see ``open_source``.
    """
    return open_source(
        request.video,
        reader=request.reader,
        start=request.start,
        end=request.end,
        stride=request.stride,
        value_range=request.range,
        deinterlace=request.deinterlace,
        exclude=[expand_home(split_frame(entry)[1]) for entry in request.first_mask],
    )


def names_for(request: ClipRequest, source: FrameSource) -> FrameNames:
    """Return the names of the frames in the results."""
    return source.names if request.names == "source" else FrameNames()


def mask_position(request: ClipRequest, source: FrameSource) -> int | None:
    """Return the position of the frame that the first mask belongs to; None for the first frame.

    Raises:
        InputError: there is no such frame among the selected ones.
    """
    wanted, indices = request.first_mask_frame, source.indices
    if wanted is None or indices is None:
        return wanted
    names = names_for(request, source)
    position = names.position(wanted)
    if position is not None and position in indices:
        return position
    step = f" in steps of {indices.step}" if indices.step > 1 else ""
    how = "counted from 0" if names.numbers is None else "called by the numbers in their file names"
    raise InputError(
        f"first_mask_frame: expected one of the frames {names.key(indices[0])} to "
        f"{names.key(indices[-1])}{step} of {source.name} ({how}), got {wanted}"
    )
