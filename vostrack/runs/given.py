"""The masks that a run is given: of one frame, or of several."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from vostrack.arrays import FloatArray
from vostrack.errors import InputError
from vostrack.masks import FirstMask, VideoFrames, read_first_mask
from vostrack.masks.same_objects import with_same_ids
from vostrack.masks.several_frames import files_by_frame
from vostrack.masks.validation import MaskSizeError
from vostrack.proposers.first_mask import propose_first_mask
from vostrack.runs.frames import mask_position, names_for, open_frames
from vostrack.runs.request import AUTO, ClipRequest
from vostrack.video import FrameSource

__all__ = ["GivenMasks", "read_given_masks"]

_log = logging.getLogger("vostrack")


@dataclass(frozen=True)
class GivenMasks:
    """The masks of a run.

    Attributes:
        mask: that of the earliest frame, with the ids, names and warnings of all.
        position: of that frame; None for the first one.
        later: the masks of later frames, by the positions of these.
    """

    mask: FirstMask
    position: int | None
    later: Mapping[int, FirstMask] = field(default_factory=dict)

    @property
    def by_frame(self) -> FirstMask | dict[int, FirstMask]:
        """What ``track_video`` takes."""
        return {self.position or 0: self.mask, **self.later} if self.later else self.mask

    def mattes(self, index: int, start: int) -> dict[int, FloatArray]:
        """Return the soft masks (H, W) that were given for a frame, by object.

        Args:
            index: position of the frame.
            start: position of the first frame of the run.
        """
        first = start if self.position is None else self.position
        mask = self.mask if index == first else self.later.get(index)
        if mask is None or mask.alpha is None:
            return {}
        own = [i for i in mask.ids if (mask.labels == i).any()]
        return dict(zip(own, mask.alpha, strict=True))

    def pixels(self) -> dict[str, int] | dict[str, dict[str, int]]:
        """Return the number of pixels of each object; by frame where there are several."""
        if not self.later:
            return _pixels(self.mask)
        masks = {self.position or 0: self.mask, **self.later}
        return {str(index): _pixels(mask) for index, mask in masks.items()}


def _pixels(mask: FirstMask) -> dict[str, int]:
    counts = {str(i): int((mask.labels == i).sum()) for i in mask.ids}
    return {i: count for i, count in counts.items() if count}


def read_given_masks(request: ClipRequest, source: FrameSource) -> GivenMasks:
    """Read the masks of a request, and log their warnings.

    Raises:
        InputError: a mask cannot be used, or it cannot be told which frame it belongs to.
    """
    if not request.first_mask:
        raise InputError("first_mask: expected a file, a folder or several files, got none")
    if request.first_mask == (AUTO,):
        return GivenMasks(_proposed(request, source), mask_position(request, source))
    frames = _video_frames(request, source)
    files = files_by_frame(request.first_mask, frames)
    if files is None:
        return _of_one_frame(request, source, frames)
    positions = {number: _position(request, source, number) for number in files}
    masks = {
        positions[number]: _read(request, source, paths, replace(frames, asked=number))
        for number, paths in files.items()
    }
    masks, notes = with_same_ids(masks)
    for note in notes:
        _log.info("%s", note)
    first = min(masks)
    later = {index: masks[index] for index in sorted(masks) if index != first}
    if later:
        told = ", ".join(str(number) for number in list(files)[:8])
        _log.info("masks of %d frames: %s%s", len(files), told, ", ..." if len(files) > 8 else "")
    return GivenMasks(_combined([masks[first], *later.values()]), first, later)


def _position(request: ClipRequest, source: FrameSource, number: int) -> int:
    position = mask_position(replace(request, first_mask_frame=number), source)
    return number if position is None else position


def _of_one_frame(request: ClipRequest, source: FrameSource, frames: VideoFrames) -> GivenMasks:
    mask = _read(request, source, request.first_mask, frames)
    if mask.frame is not None and frames.numbers and mask.frame != frames.numbers[0]:
        request = replace(request, first_mask_frame=mask.frame)
    return GivenMasks(mask, mask_position(request, source))


def _read(
    request: ClipRequest, source: FrameSource, paths: tuple[str, ...], frames: VideoFrames
) -> FirstMask:
    try:
        mask = read_first_mask(
            paths[0] if len(paths) == 1 else list(paths),
            size=source.size,
            max_objects=request.max_objects,
            min_pixels=request.min_pixels,
            frames=frames,
        )
    except MaskSizeError as error:
        if source.pixel_aspect == 1:
            raise
        raise _of_stretched(error, source) from None
    for warning in mask.warnings:
        _log.warning("%s", warning)
    return mask


def _of_stretched(error: MaskSizeError, source: FrameSource) -> InputError:
    """Explain the size of a mask for a video whose pixels are not square."""
    (height, width), aspect = source.size, source.pixel_aspect
    return InputError(
        f"{error.problem}; the pixels of this video are {aspect.numerator}:{aspect.denominator}, "
        "not square, and players stretch them: resize a mask that was made from a screenshot to "
        f"the stored size, {width}x{height}, with nearest neighbour"
    )


def _proposed(request: ClipRequest, source: FrameSource) -> FirstMask:
    """Propose the objects from frames that are read once more."""
    if source.indices is None:
        raise InputError(
            "first_mask: auto looks at the first second before tracking begins, and this video can "
            "be read only once; record it to a file first"
        )
    with open_frames(request) as frames:
        mask = propose_first_mask(frames, objects=request.objects, device=request.device)
    mask = _best(mask, request.max_objects)
    for warning in mask.warnings:
        _log.warning("%s", warning)
    return mask


def _best(mask: FirstMask, most: int) -> FirstMask:
    """Return a proposed mask with its best objects: the best has the id 1."""
    if len(mask.ids) <= most:
        return mask
    note = f"{len(mask.ids)} objects stand out; `max_objects` keeps the best {most}"
    return replace(
        mask,
        labels=np.where(mask.labels <= most, mask.labels, 0).astype(np.uint8),
        ids=mask.ids[:most],
        names=mask.names[:most],
        warnings=(*mask.warnings, note),
    )


def _combined(masks: list[FirstMask]) -> FirstMask:
    """Return the first mask with the objects of all; the first name of an object counts."""
    names: dict[int, str] = {}
    for mask in reversed(masks):
        names.update(zip(mask.ids, mask.names, strict=True))
    ids = tuple(sorted(names))
    warnings = tuple(dict.fromkeys(w for mask in masks for w in mask.warnings))
    return replace(
        masks[0],
        ids=ids,
        names=tuple(names[i] for i in ids),
        warnings=warnings,
        identities=(),
    )


def _video_frames(request: ClipRequest, source: FrameSource) -> VideoFrames:
    """Return the frames as the user counts or names them."""
    indices, own = source.indices or (), names_for(request, source).numbers
    numbers = tuple(indices if own is None else (own[index] for index in indices))
    return VideoFrames(numbers, own is not None, request.first_mask_frame, own or ())
