"""The LVOS layout, releases 1 and 2: long videos in which objects appear late and return.

Hong et al. 2023, "LVOS: A Benchmark for Long-term Video Object Segmentation"; Hong et al. 2024,
"LVOS: A Benchmark for Large-scale Long-term Video Object Segmentation".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vostrack.datasets.metadata import read_objects, read_videos
from vostrack.datasets.video_sequence import (
    FRAME_SUFFIXES,
    MASK_SUFFIXES,
    SequenceObject,
    VideoSequence,
    chosen_names,
    scan_folder,
)
from vostrack.errors import InputError
from vostrack.file_order import natural_order

__all__ = ["open_lvos"]

_OTHER_NAMES = {"val": "valid", "valid": "val"}


def open_lvos(
    root: str | Path, *, subset: str = "val", sequences: Iterable[str] | None = None
) -> tuple[VideoSequence, ...]:
    """Find the videos of an LVOS subset.

    Args:
        root: the folder that holds ``train``, ``val`` (or ``valid``) and ``test``, each with
            ``JPEGImages``, ``Annotations`` and a file of metadata.
        subset: train, val or test.
        sequences: only these, in this order; by default all of the metadata, sorted by name.

    Returns:
        The videos. Their prompts are the first frame of each object according to the metadata;
        ``objects`` say in which annotated frames each object is to be predicted.

    Raises:
        InputError: something is missing or inconsistent; the message says where it was looked for.
    """
    base = _subset_folder(Path(root), subset)
    meta = _find_meta(base, subset)
    videos = read_videos(meta)
    names = chosen_names(sorted(videos, key=natural_order), sequences, f"LVOS {subset}")
    source = f"LVOS {subset}"
    return tuple(
        _open_video(base, name, read_objects(meta, name, videos[name]), source) for name in names
    )


def _subset_folder(root: Path, subset: str) -> Path:
    for name in (subset, _OTHER_NAMES.get(subset, subset), "."):
        if (root / name / "JPEGImages").is_dir():
            return root / name
    raise InputError(
        f"LVOS: no {root / subset / 'JPEGImages'}; expected the folder that holds train, val and "
        "test, each with JPEGImages and Annotations"
    )


def _find_meta(base: Path, subset: str) -> Path:
    other = _OTHER_NAMES.get(subset, subset)
    places = [base / name for name in ("meta.json", f"{subset}_meta.json", f"{other}_meta.json")]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise InputError(
            f"LVOS: no metadata of {base}; looked for {', '.join(place.name for place in places)}"
        )
    return path


def _open_video(
    base: Path, name: str, objects: Mapping[int, Mapping[str, Any]], source: str
) -> VideoSequence:
    frames = scan_folder(base / "JPEGImages" / name, FRAME_SUFFIXES)
    masks = scan_folder(base / "Annotations" / name, MASK_SUFFIXES)
    if not frames:
        raise InputError(f"{source}: no frame of {name}; looked in {base / 'JPEGImages' / name}")
    odd = next((stem for stem in frames if not stem.isdecimal()), None)
    if odd is not None:
        raise InputError(
            f"{source}: expected frames of {name} with numbers as names, to which the metadata "
            f"refer, got {frames[odd].name}; rename the frames and masks"
        )
    known = tuple(_object(number, entry, list(frames), name) for number, entry in objects.items())
    starts = sorted({obj.frames[0] for obj in known}, key=natural_order)
    bare = [stem for stem in starts if stem not in masks]
    if bare:
        raise InputError(
            f"{source}: {name} has no annotation of frame {bare[0]}, in which an object first "
            f"appears; looked in {base / 'Annotations' / name}"
        )
    index = {stem: position for position, stem in enumerate(frames)}
    return VideoSequence(
        name=name,
        frames=tuple(frames.values()),
        annotations=tuple(masks.get(stem) for stem in frames),
        prompts=tuple((index[stem], masks[stem]) for stem in starts),
        semantics="ids",
        source=source,
        objects=known,
    )


def _object(number: int, entry: Mapping[str, Any], frames: list[str], video: str) -> SequenceObject:
    """Read the range of frames of an object."""
    try:
        given = entry["frame_range"]
        first, last = int(given["start"]), int(given["end"])
        inside = tuple(stem for stem in frames if first <= int(stem) <= last)
        if not inside:
            raise ValueError(f"no frame from {first} to {last}")
        return SequenceObject(number, str(entry.get("category", "")), inside)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"LVOS: object {number} of {video}: expected frame_range with start and end in the "
            f"metadata ({type(error).__name__}: {error})"
        ) from error
