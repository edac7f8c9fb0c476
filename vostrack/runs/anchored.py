"""A request whose paths do not depend on the current folder, which may change while it is run."""

from __future__ import annotations

from dataclasses import replace

from vostrack.files import expand_home
from vostrack.masks.several_frames import split_frame
from vostrack.runs.request import AUTO, ClipRequest
from vostrack.video.names import is_pattern, is_url

__all__ = ["anchored"]


def anchored(request: ClipRequest) -> ClipRequest:
    """Return a request with absolute paths of the video, the masks and the results.

    Words such as ``auto``, cameras and addresses stay as they are, and so does what does not exist:
    the message that says so repeats it as it was given.
    """
    return replace(
        request,
        video=_video(request.video),
        first_mask=tuple(map(_mask, request.first_mask)),
        output=request.output.absolute(),
    )


def _video(video: str) -> str:
    path = expand_home(video)
    if path.exists() or (is_pattern(video) and not is_url(video)):
        return str(path.absolute())
    return video


def _mask(entry: str) -> str:
    number, path = split_frame(entry)
    place = expand_home(path)
    if entry == AUTO or (number is None and not place.exists()):
        return entry
    return str(place.absolute()) if number is None else f"{number}={place.absolute()}"
