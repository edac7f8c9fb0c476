"""Where the objects of a video are given: the metadata, compared with the masks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from vostrack.datasets.video_sequence import SequenceObject, VideoSequence
from vostrack.errors import InputError

__all__ = ["earlier_frames", "place_objects", "values_in_mask"]

_SHOWN = 6


def earlier_frames(sequence: VideoSequence) -> str:
    """Say which frames come before the first prompt and get no mask; "" where none does."""
    start = sequence.prompts[0][0] if sequence.prompts else 0
    if not start:
        return ""
    names = ", ".join(sequence.frame_names[: min(start, _SHOWN)])
    more = f" and {start - _SHOWN} more" if start > _SHOWN else ""
    if start == 1:
        return f"frame {names} comes before the first mask and gets none"
    return f"frames {names}{more} come before the first mask and get none"


def place_objects(
    sequence: VideoSequence, *, all_masks: bool = False
) -> tuple[VideoSequence, tuple[str, ...]]:
    """Let each object start in the first mask that shows it, where the metadata are wrong.

    An object that the mask of its first frame does not show could not be given there; its frames
    without a mask of it would be scored as if a tracker had found them empty.

    Args:
        sequence: the video. Without metadata of objects, nothing is read.
        all_masks: whether objects that the metadata do not list are looked for in the masks of all
            frames too, where all are annotated; reading them takes a while.

    Returns:
        The video, in which objects start in the first annotated frame that shows them, at the
        earliest in the one that the metadata name; an object in none has no frames. And one
        sentence for each object that was changed or is not listed. A mask that cannot be read is
        not judged here.
    """
    if not sequence.objects:
        return sequence, ()
    masks = _Masks(sequence)
    notes: list[str] = []
    placed: list[SequenceObject] = []
    for found in sequence.objects:
        start = masks.first_that_shows(found)
        named = found.frames[0] if found.frames else ""
        frames = () if start is None else (start, *_after(sequence, start, found.frames))
        if frames == found.frames and frames:
            placed.append(found)
            continue
        placed.append(replace(found, frames=frames))
        if not named:
            notes.append(f"the metadata give no frame of object {found.id}; it is left out")
        elif start is None:
            notes.append(f"no mask from frame {named} on shows object {found.id}; it is left out")
        else:
            notes.append(
                f"the mask of frame {named}, in which the metadata let object {found.id} start, "
                f"does not show it; it starts in {start}, the first mask that does"
            )
    every = all_masks or None in sequence.annotations
    unlisted = masks.unlisted(sequence.annotations if every else [p for _, p in sequence.prompts])
    if not notes:
        return sequence, unlisted
    starts = {masks.index[found.frames[0]] for found in placed if found.frames}
    paths = sequence.annotations
    prompts = tuple((k, path) for k in sorted(starts) if (path := paths[k]) is not None)
    changed = replace(sequence, objects=tuple(placed), prompts=prompts or sequence.prompts)
    return changed, (*notes, *unlisted)


def _after(sequence: VideoSequence, start: str, frames: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of an object's frames that come after ``start``."""
    later = set(sequence.frame_names[sequence.frame_names.index(start) + 1 :])
    return tuple(frame for frame in frames if frame in later)


@dataclass
class _Masks:
    """The masks of a sequence, each of which is read once at most."""

    sequence: VideoSequence
    index: dict[str, int] = field(init=False)
    _ids: dict[Path, frozenset[int] | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.index = {name: number for number, name in enumerate(self.sequence.frame_names)}

    def first_that_shows(self, found: SequenceObject) -> str | None:
        """Return the first frame with a mask of an object, from its first frame on."""
        if not found.frames:
            return None
        start = self.index[found.frames[0]]
        for name, path in list(zip(self.index, self.sequence.annotations, strict=True))[start:]:
            if path is not None and self._shows(path, found.id):
                return name
        return None

    def unlisted(self, paths: Iterable[Path | None]) -> tuple[str, ...]:
        """Return a sentence for each object that masks show and the metadata do not list."""
        from vostrack.masks.palette import VOID

        known = {found.id for found in self.sequence.objects} | {0, VOID}
        names = dict(zip(self.sequence.annotations, self.index, strict=True))
        first: dict[int, str] = {}
        for path in paths:
            for number in sorted((self._ids_in(path) or frozenset()) - known) if path else ():
                first.setdefault(number, names[path])
        return tuple(
            f"object {number}, which the mask of frame {name} shows, is not in the metadata; it is "
            "left out"
            for number, name in sorted(first.items())
        )

    def _shows(self, path: Path, number: int) -> bool:
        known = self._ids_in(path)
        return known is None or number in known

    def _ids_in(self, path: Path) -> frozenset[int] | None:
        if path not in self._ids:
            self._ids[path] = values_in_mask(path)
        return self._ids[path]


def values_in_mask(path: Path) -> frozenset[int] | None:
    """Return the values in a mask, 0 and 255 among them; None if it cannot be read."""
    import numpy as np

    from vostrack.masks.palette import read_label_map

    try:
        counts = np.bincount(read_label_map(path).ravel())
    except InputError:
        return None
    return frozenset(np.flatnonzero(counts).tolist())
