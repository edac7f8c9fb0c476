"""The YouTube-VOS layout, releases 2018 and 2019.

Xu et al. 2018, "YouTube-VOS: Sequence-to-Sequence Video Object Segmentation".
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vostrack.datasets.metadata import of_type, read_objects, read_videos
from vostrack.datasets.video_sequence import (
    FRAME_SUFFIXES,
    MASK_SUFFIXES,
    SequenceObject,
    VideoSequence,
    scan_folder,
)
from vostrack.errors import InputError
from vostrack.file_order import natural_order
from vostrack.wording import counted

__all__ = ["open_youtube_vos"]

_SUBSETS = ("train", "valid", "test")


def open_youtube_vos(
    root: str | Path,
    *,
    subset: str = "valid",
    all_frames: bool = False,
    sequences: Iterable[str] | None = None,
) -> tuple[VideoSequence, ...]:
    """Find the videos of a YouTube-VOS subset.

    Args:
        root: the folder that holds ``train``, ``valid`` or ``test``, each with ``meta.json``,
            ``JPEGImages`` and ``Annotations``.
        subset: train, valid or test.
        all_frames: take the frames from ``<subset>_all_frames/JPEGImages`` (30 per second) in
            place of the subset's own (every fifth of them).
        sequences: only these, in this order; by default all of ``meta.json``, sorted by name.

    Returns:
        The videos. Their prompts are the frames in which an object first appears according to
        ``meta.json``; ``objects`` say for which frames each object is to be predicted.

    Raises:
        InputError: something is missing or inconsistent; the message says where it was looked for.
    """
    if subset not in _SUBSETS:
        raise InputError(f"YouTube-VOS subset: expected {', '.join(_SUBSETS)}, got {subset!r}")
    base = Path(root) / subset
    meta = base / "meta.json"
    videos = _read_meta(meta)
    frames_folder = Path(root) / (f"{subset}_all_frames" if all_frames else subset) / "JPEGImages"
    names = (
        sorted(videos, key=natural_order) if sequences is None else list(dict.fromkeys(sequences))
    )
    unknown = [name for name in names if name not in videos]
    if unknown:
        raise InputError(
            f"YouTube-VOS {subset}: {meta} does not list {', '.join(unknown[:5])} "
            f"({len(unknown)} unknown)"
        )
    source = f"YouTube-VOS {subset}{' all frames' if all_frames else ''}"
    masks = base / "Annotations"
    return tuple(
        _open_video(
            name, frames_folder / name, masks / name, _objects(meta, name, videos[name]), source
        )
        for name in names
    )


def _read_meta(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(
            f"YouTube-VOS: no {path}; expected the folder that holds train, valid or test, each "
            "with meta.json, JPEGImages and Annotations"
        )
    return read_videos(path)


def _objects(path: Path, name: str, video: Any) -> tuple[SequenceObject, ...]:
    """Read in which frames the objects of a video are."""
    found = []
    for number, entry in read_objects(path, name, video).items():
        place = f"{path}: frames of object {number} of video {name}"
        frames = sorted(map(str, of_type(entry.get("frames"), list, place)), key=natural_order)
        found.append(SequenceObject(number, str(entry.get("category", "")), tuple(frames)))
    return tuple(found)


def _open_video(
    name: str,
    frames_folder: Path,
    masks_folder: Path,
    objects: tuple[SequenceObject, ...],
    source: str,
) -> VideoSequence:
    frames = scan_folder(frames_folder, FRAME_SUFFIXES)
    masks = scan_folder(masks_folder, MASK_SUFFIXES)
    if not frames:
        raise InputError(f"{source}: no frame of {name}; looked in {frames_folder}")
    starts = sorted({obj.frames[0] for obj in objects if obj.frames}, key=natural_order)
    if not starts:
        raise InputError(f"{source}: meta.json gives no frame to the objects of {name}")
    bare = [stem for stem in starts if stem not in masks]
    if bare:
        raise InputError(
            f"{source}: {name} has no annotation of frame {bare[0]}, in which an object first "
            f"appears; looked in {masks_folder}"
        )
    named = set(masks).union(*(obj.frames for obj in objects))
    lost = sorted(named - set(frames), key=natural_order)
    if lost:
        raise InputError(
            f"{source}: {name} lacks {counted(len(lost), 'frame')} that meta.json or the "
            f"annotations name, the first being {lost[0]}; looked in {frames_folder}"
        )
    index = {stem: position for position, stem in enumerate(frames)}
    return VideoSequence(
        name=name,
        frames=tuple(frames.values()),
        annotations=tuple(masks.get(stem) for stem in frames),
        prompts=tuple((index[stem], masks[stem]) for stem in starts),
        semantics="ids",
        source=source,
        objects=objects,
    )
