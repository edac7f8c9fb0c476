"""Label maps of a video as files hold them: one array of integers for each frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from vostrack.arrays import IntArray, UInt8Array
from vostrack.errors import InputError
from vostrack.masks.annotations import shortened
from vostrack.masks.frame_names import VideoFrames, last_number
from vostrack.masks.palette import VOID
from vostrack.masks.parsed_mask import ParsedMask
from vostrack.masks.values import interpret_values
from vostrack.masks.video_masks import MaskFrame, MaskObject, VideoMasks, class_of

__all__ = ["LabelStack", "frames_of_stems", "mask_of_stack", "masks_of_stack"]


@dataclass(frozen=True)
class LabelStack:
    """Label maps on disk.

    Attributes:
        size: H and W in pixels.
        frames: the frames, in order.
        read: gives the values of the frame at a position, (H, W) integers.
        void: the values that mean void.
        names: name and class of values, as far as the file states them.
        notes: what the user should know.
        source: name of the video; empty if unknown.
        frame_rate: frames per second; None if unknown.
    """

    size: tuple[int, int]
    frames: tuple[MaskFrame, ...]
    read: Callable[[int], IntArray]
    void: frozenset[int] = frozenset({VOID})
    names: Mapping[int, tuple[str, str | None]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    source: str = ""
    frame_rate: float | None = None


def masks_of_stack(stack: LabelStack, origin: str) -> VideoMasks:
    """Find the objects in all frames. Values above 254 are renumbered.

    Raises:
        InputError: there is no object, there are more than 254, or a value is negative.
    """
    values: set[int] = set()
    for position in range(len(stack.frames)):
        values |= set(np.unique(stack.read(position)).tolist())
        if len(values) > 1000:
            break
    found = sorted(values - {0} - stack.void)
    void = stack.void
    if not found and values - {0}:
        # A single value is an object, not void.
        found, void = sorted(values - {0}), frozenset()
    found = sorted({*found, *(stack.names if found else ())})
    if not 0 < len(found) < VOID or found[0] < 0:
        raise InputError(
            f"{origin}: contains {len(found)} objects, expected label maps with 1 to 254 ids above "
            "0; check that these are label maps and not pictures"
        )
    keep = found[-1] < VOID
    ids = {value: value if keep else k for k, value in enumerate(found, start=1)}
    notes = stack.notes
    if not keep:
        shown = ", ".join(map(str, found[:8]))
        notes += (f"{origin}: the values {shown} became ids 1 to {len(found)}",)

    def read(position: int) -> UInt8Array:
        values, places = np.unique(stack.read(position), return_inverse=True)
        table = [VOID if v in void else ids.get(v, 0) for v in values.tolist()]
        return np.array(table, dtype=np.uint8)[places.reshape(stack.size)]

    objects = tuple(_object(value, ids[value], stack) for value in found)
    return VideoMasks(
        stack.size, stack.frames, objects, read, stack.source, stack.frame_rate, notes=notes
    )


def _object(value: int, number: int, stack: LabelStack) -> MaskObject:
    name, category = stack.names.get(value, (str(value), None))
    return MaskObject(number, name, category or class_of(name, value))


def mask_of_stack(
    stack: LabelStack, frames: VideoFrames, max_objects: int, origin: str
) -> ParsedMask:
    """Return the mask of the frame that the user asked for, or of the first one with objects.

    Raises:
        InputError: the stack has no such frame, or the values cannot be a mask.
    """
    numbers = [frame.number for frame in stack.frames]
    wanted = frames.wanted if frames.wanted is not None else numbers[0]
    if wanted not in numbers and frames.asked is not None:
        shown = ", ".join(map(str, numbers[:8])) + (", ..." if len(numbers) > 8 else "")
        raise InputError(
            f"{origin}: has no masks of frame {wanted}, expected one of {shown}; set "
            "`first_mask_frame` to one of them"
        )
    positions = [k for k, n in enumerate(numbers) if n >= wanted] or list(range(len(numbers)))
    if frames.asked is not None:
        positions = positions[:1]
    for position in positions:
        values = stack.read(position)
        if values.any():
            return _parsed(stack, position, values, wanted, max_objects, origin)
    return interpret_values(stack.read(positions[0]), origin, max_objects, drawn=False)


def _parsed(
    stack: LabelStack, position: int, values: IntArray, wanted: int, limit: int, origin: str
) -> ParsedMask:
    special = stack.void - {VOID}
    if special:
        only = set(np.unique(values).tolist()) - {0} <= special
        values = values if only else np.where(np.isin(values, list(special)), VOID, values)
    parsed = interpret_values(values, origin, limit, drawn=False)
    names = dict(parsed.names)
    for value, (name, _) in stack.names.items():
        number = next((n for n, text in names.items() if text == str(value)), value)
        names[number] = shortened(name)
    frame = stack.frames[position]
    notes = stack.notes
    if frame.number != wanted:
        notes += (
            f"{origin}: has no masks of frame {wanted}; those of frame {frame.number} are used for "
            f"frame {frame.number}, and the video is tracked both ways from it",
        )
    values_of = (parsed.names,) if parsed.known_by == "names" else ()
    return replace(parsed, names=names, frame=frame.number, identities=values_of).noted(*notes)


def frames_of_stems(stems: Sequence[str]) -> tuple[MaskFrame, ...]:
    """Return the frames that files are named after."""
    numbers = [last_number(stem) for stem in stems]
    known = [n for n in numbers if n is not None]
    if len(set(known)) != len(stems):
        known = list(range(len(stems)))
    if known == list(range(len(stems))) and all(stem.isdecimal() for stem in stems):
        return tuple(MaskFrame(number, f"{number:05d}") for number in known)
    return tuple(
        MaskFrame(number, stem, None, stem != f"{number:05d}")
        for number, stem in zip(known, stems, strict=True)
    )
