"""The MOSE layout: a folder of frames and one of masks per video, and no list.

Ding et al. 2023, "MOSE: A New Dataset for Video Object Segmentation in Complex Scenes".
"""

from __future__ import annotations

from pathlib import Path

from vostrack.datasets.video_sequence import (
    FRAME_SUFFIXES,
    MASK_SUFFIXES,
    VideoSequence,
    scan_folder,
)
from vostrack.errors import InputError
from vostrack.files import natural_order

__all__ = ["open_mose"]


def open_mose(root: str | Path) -> tuple[VideoSequence, ...]:
    """Find the videos of a folder.

    Args:
        root: holds ``JPEGImages/NAME`` and ``Annotations/NAME``, palette PNG with ids.

    Returns:
        The videos, sorted by name. The first annotated frame is their prompt.

    Raises:
        InputError: there is no video, or one without an annotation or with one of no frame.
    """
    folder = Path(root) / "JPEGImages"
    names = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    if not names:
        raise InputError(f"MOSE: no video in {folder}; expected a folder of frames for each")
    return tuple(_open_video(Path(root), name) for name in sorted(names, key=natural_order))


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
    first = next(index for index, stem in enumerate(frames) if stem in masks)
    return VideoSequence(
        name=name,
        frames=tuple(frames.values()),
        annotations=tuple(masks.get(stem) for stem in frames),
        prompts=((first, masks[list(frames)[first]]),),
        semantics="ids",
        source="MOSE",
    )
