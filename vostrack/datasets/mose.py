"""The MOSE layout, releases 1 and 2: a folder of frames and one of masks per video.

Ding et al. 2023, "MOSE: A New Dataset for Video Object Segmentation in Complex Scenes"; Ding et al.
2025, "MOSEv2: A More Challenging Dataset for Video Object Segmentation in Complex Scenes".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from vostrack.datasets.placed_objects import values_in_mask
from vostrack.datasets.video_sequence import (
    FRAME_SUFFIXES,
    MASK_SUFFIXES,
    VideoSequence,
    chosen_names,
    scan_folder,
    subfolders,
)
from vostrack.errors import InputError
from vostrack.file_order import natural_order

__all__ = ["open_mose"]


def open_mose(
    root: str | Path, *, subset: str | None = None, sequences: Iterable[str] | None = None
) -> tuple[VideoSequence, ...]:
    """Find the videos of a folder.

    Args:
        root: holds ``JPEGImages/NAME`` and ``Annotations/NAME``, palette PNG with ids; or holds a
            folder of that kind for each subset.
        subset: train, valid or test; needed only if ``root`` holds the subsets' folders.
        sequences: only these, in this order; by default all, sorted by name.

    Returns:
        The videos. If every frame is annotated, the first annotation is the prompt; so it is if
        some annotations are missing: most frames have one, and not each gives a new object.
        Otherwise every annotation is one, of which only the ids not seen before count.

    Raises:
        InputError: there is no video, or one without an annotation or with one of no frame.
    """
    base = Path(root)
    if subset is not None and (base / subset / "JPEGImages").is_dir():
        base = base / subset
    folder = base / "JPEGImages"
    names = [path.name for path in subfolders(folder)]
    if not names:
        raise InputError(f"MOSE: no video in {folder}; expected a folder of frames for each")
    chosen = chosen_names(names, sequences, "MOSE")
    return tuple(_open_video(base, name) for name in chosen)


def _open_video(root: Path, name: str) -> VideoSequence:
    frames = scan_folder(root / "JPEGImages" / name, FRAME_SUFFIXES)
    masks = scan_folder(root / "Annotations" / name, MASK_SUFFIXES)
    lost = sorted(set(masks) - set(frames), key=natural_order)
    if not masks or lost:
        raise InputError(
            f"MOSE: {name} has "
            + (f"an annotation of {lost[0]}, but no such frame" if lost else "no annotation")
            + f"; looked in {root / 'Annotations' / name}"
        )
    given = [(index, masks[stem]) for index, stem in enumerate(frames) if stem in masks]
    return VideoSequence(
        name=name,
        frames=tuple(frames.values()),
        annotations=tuple(masks.get(stem) for stem in frames),
        prompts=tuple(given if _gives_objects(given, len(frames)) else given[:1]),
        semantics="ids",
        source="MOSE",
    )


def _gives_objects(masks: Sequence[tuple[int, Path]], frames: int) -> bool:
    """Tell whether later masks give new objects, or are truth of which some is missing."""
    if len(masks) == frames:
        return False
    if 2 * len(masks) <= frames:
        return True
    from vostrack.masks.palette import VOID

    seen = {0, VOID}
    for position, (_, path) in enumerate(masks):
        found = values_in_mask(path)
        if found is None:
            continue  # whoever uses the mask says so
        if position and found <= seen:
            return False
        seen |= found
    return True
