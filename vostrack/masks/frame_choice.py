"""Which frame of a file with masks of several frames is the one to use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vostrack.errors import InputError
from vostrack.masks.annotations import AnnotatedFrame, shortened
from vostrack.masks.frame_names import VideoFrames

__all__ = ["choose_frame"]


def choose_frame(
    marked: Sequence[AnnotatedFrame],
    listed: Sequence[int | None],
    frames: VideoFrames,
    origin: str,
    *,
    counted: bool = False,
) -> tuple[AnnotatedFrame, int | None, tuple[str, ...]]:
    """Choose the frame of the file whose masks are used.

    That is the frame that the user asked for, or the first frame of the video. If the file has no
    masks of the first frame, the earliest frame with masks is taken.

    Args:
        marked: the frames with masks, at least one, in the order of the file.
        listed: the numbers of all frames of the file, with or without masks.
        frames: the frames of the video.
        origin: name of the file in messages.
        counted: whether the numbers are those of the video for certain.

    Returns:
        The frame, its number in the video (None if unknown), and warnings.

    Raises:
        InputError: the file has no masks of the frame that the user asked for, or it cannot be told
            which frame the masks belong to.
    """
    base = 0 if counted or frames.named else _base(listed, frames)
    several = (
        (f"{origin}: contains masks of {len(marked)} images; only those of image ",)
        if len(marked) > 1
        else ()
    )
    numbered = {m.number - (base or 0): m for m in reversed(marked) if m.number is not None}
    if not len(frames.numbers) and frames.asked is None:
        first = marked[0]
        number = None if first.number is None or base is None else first.number - base
        return first, number, tuple(f"{s}{first.name} are used" for s in several)
    wanted = frames.wanted
    if wanted in numbered and base is not None:
        found = numbered[wanted]
        return found, wanted, tuple(f"{s}{found.name} are used" for s in several)
    if frames.asked is not None:
        return _asked(marked, numbered, frames.asked, several, origin)
    within = sorted(n for n in numbered if n in frames.numbers)
    if not within:
        _refuse_left_out(numbered, frames, counted, origin)
        found = marked[0]
        foreign = found.number is not None and not several
        note = (
            f"{origin}: the masks of {found.name}, which is no frame of the video by its name, are "
            f"used for frame {wanted}"
        )
        return found, None, (note,) * foreign + tuple(f"{s}{found.name} are used" for s in several)
    found = numbered[within[0]]
    if base is None:
        return _single(found, int(wanted or 0), origin)
    return (
        found,
        within[0],
        (
            f"{origin}: has no masks of frame {wanted}; those of {found.name} are used for frame "
            f"{within[0]}, and the video is tracked both ways from it",
        ),
    )


def _refuse_left_out(
    numbered: Mapping[int, AnnotatedFrame], frames: VideoFrames, counted: bool, origin: str
) -> None:
    """Refuse masks that certainly belong to frames of the video that are not selected."""
    left_out = [n for n in sorted(numbered) if frames.leaves_out(n, exact=counted)]
    if not left_out or not (frames.named or counted):
        return
    first = frames.numbers[0]
    use = f", or set `first_mask_frame={first}` to use the masks for frame {first}"
    raise InputError(
        f"{origin}: the masks of {numbered[left_out[0]].name} belong to frame {left_out[0]}, which "
        f"is not among the selected frames {frames.selected}; select it with `start`, `end` and "
        "`stride`" + use * (len(numbered) == 1)
    )


def _base(listed: Sequence[int | None], frames: VideoFrames) -> int | None:
    """Return the number of the first frame in names of this file; None if it cannot be told."""
    known = sorted({n for n in listed if n is not None})
    if len(known) < 2:
        return 0 if known == [0] else None
    whole = known == list(range(known[0], known[-1] + 1)) and len(known) == len(frames.numbers)
    return known[0] if whole or known[0] == 1 else 0


def _asked(
    marked: Sequence[AnnotatedFrame],
    numbered: Mapping[int, AnnotatedFrame],
    asked: int,
    several: tuple[str, ...],
    origin: str,
) -> tuple[AnnotatedFrame, int | None, tuple[str, ...]]:
    if len(marked) > 1 and numbered:
        shown = ", ".join(shortened(n, 20) for n in sorted(numbered)[:8])
        raise InputError(
            f"{origin}: has no masks of frame {asked}, expected one of {shown}"
            f"{', ...' if len(numbered) > 8 else ''}; set `first_mask_frame` to one of them"
        )
    found = marked[0]
    notes = tuple(f"{s}{found.name} are used" for s in several)
    if found.number is not None and found.number not in (asked, asked + 1):
        notes = (
            f"{origin}: the masks belong to {found.name}, but are used for frame {asked}, because "
            f"`first_mask_frame={asked}` says so",
        )
    return found, asked, notes


def _single(
    found: AnnotatedFrame, first: int, origin: str
) -> tuple[AnnotatedFrame, int | None, tuple[str, ...]]:
    """Decide about the only image of a file, whose numbers may count from 0 or 1."""
    assert found.number is not None
    if found.number == first:
        return found, None, ()
    if found.number == first + 1:
        return (
            found,
            None,
            (
                f"{origin}: the masks of {found.name} are used for frame {first}, as if its name "
                f"counts from {first + 1}; if they belong to frame {found.number}, set "
                f"`first_mask_frame={found.number}`",
            ),
        )
    raise InputError(
        f"{origin}: the masks belong to {found.name}, but without `first_mask_frame` they would be "
        f"used for frame {first}; set `first_mask_frame={found.number}` (frames count from 0; "
        "subtract 1 if the names of your images count from 1), or "
        f"`first_mask_frame={first}`"
    )
