"""MOTS text files: a line for each object and frame.

Voigtlaender et al., "MOTS: Multi-Object Tracking and Segmentation" (2019). A line has the frame,
the id (class x 1000 + instance), the class, height, width and compressed RLE. Class 10 is ignored.
KITTI MOTS counts frames from 0, MOTSChallenge from 1.
"""

from __future__ import annotations

from pathlib import Path

from vostrack.errors import InputError
from vostrack.files import atomic_path
from vostrack.masks.annotations import (
    AnnotatedFrame,
    Annotations,
    Entry,
    Size,
    check_size,
    shortened,
    whole_number,
)
from vostrack.masks.formats.losses import losses
from vostrack.masks.formats.mots_classes import IGNORED, class_name, class_numbers
from vostrack.masks.palette import VOID
from vostrack.masks.rle import encode_rle, is_empty_rle
from vostrack.masks.video_masks import VideoMasks, present

__all__ = ["is_layout", "parse", "write"]

_MOST_FRAMES = 1 << 20


def is_layout(text: str) -> bool:
    """Tell whether text looks like a file of MOTS: six fields, of which five are integers."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    fields = line.split()
    return len(fields) == 6 and all(whole_number(field) is not None for field in fields[:5])


def parse(text: str, origin: str) -> Annotations:
    """Read the lines of a file.

    Raises:
        InputError: a line has another form.
    """
    frames: dict[int, list[Entry]] = {}
    size: Size | None = None
    for count, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        numbers = [whole_number(field) for field in fields[:5]]
        if len(fields) != 6 or None in numbers:
            raise InputError(
                f"{origin}: line {count}: expected frame, id, class, height, width and RLE, got "
                f"{shortened(line, 60)!r}; export the masks again"
            )
        frame, number, kind, height, width = (n or 0 for n in numbers)
        if not 0 <= frame < _MOST_FRAMES:
            raise InputError(
                f"{origin}: line {count}: expected a frame from 0 to {_MOST_FRAMES}, got {frame}; "
                "export the masks again"
            )
        here = check_size(height, width, origin)
        size = size or here
        coded = {"size": list(here or ()), "counts": fields[5]}
        entries = frames.setdefault(frame, [])
        if kind == IGNORED or number == IGNORED * 1000:
            entries.append(Entry(coded, None, "ignore", void=True))
        elif not is_empty_rle(coded):
            name = class_name(kind)
            own = number % 1000 if number // 1000 == kind else number
            entries.append(Entry(coded, own, None, False, str(number), name))
    ordered = sorted(frames)
    listed = list(range(ordered[0], ordered[-1] + 1)) if ordered else []
    return Annotations(
        tuple(
            AnnotatedFrame(f"frame {number}", number, tuple(frames.get(number, ())), size)
            for number in listed
        ),
        video=True,
    )


def write(masks: VideoMasks, output: Path) -> tuple[str, ...]:
    """Write a file. Frames have their own numbers; those of a video file count from 0."""
    kinds = class_numbers(masks.categories)
    height, width = masks.size
    lines = []
    for position, frame in enumerate(masks.frames):
        for entry, mask in present(masks, masks.labels(position), void=True):
            kind = IGNORED if entry.id == VOID else kinds[entry.category]
            number = IGNORED * 1000 if entry.id == VOID else kind * 1000 + entry.id
            counts = encode_rle(mask)["counts"]
            lines.append(f"{frame.number} {number} {kind} {height} {width} {counts}\n")
    with atomic_path(output) as temporary:
        temporary.write_text("".join(lines), encoding="ascii")
    named = any(frame.named and not frame.name.isdecimal() for frame in masks.frames)
    known = {name for name in masks.categories if class_name(kinds[name]) == name}
    lost = [f"the names of classes ({', '.join(sorted(set(masks.categories) - known)[:4])})"]
    others = lost * (known != set(masks.categories))
    if named:
        others.append("the names of frames")
    return losses(masks, names="all", others=others)
