"""The BURST layout: frames in folders, masks of all videos in one JSON file.

Athar et al. 2023, "BURST: A Benchmark for Unifying Object Recognition, Segmentation and Tracking in
Video". Videos are annotated, and scored, at one frame per second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vostrack.datasets.video_sequence import SequenceObject, VideoSequence, chosen_names
from vostrack.errors import InputError
from vostrack.files import parse_json

if TYPE_CHECKING:
    from vostrack.arrays import UInt8Array

__all__ = ["burst_file", "burst_name", "open_burst", "read_burst"]

_FILES = ("all_classes.json", "first_frame_annotations.json")


def open_burst(
    root: str | Path,
    masks: str | Path,
    *,
    subset: str = "val",
    all_frames: bool = False,
    sequences: Iterable[str] | None = None,
) -> tuple[VideoSequence, ...]:
    """Find the videos of a BURST subset, and write their annotations as label maps.

    Args:
        root: the folder that holds ``annotations/SUBSET/all_classes.json`` (or, without truth,
            ``first_frame_annotations.json``) and ``frames/SUBSET/DATASET/VIDEO``; both may also be
            directly in it.
        masks: folder for the annotations as ``VIDEO/FRAME.png``.
        subset: train, val or test.
        all_frames: take all frames and not only the annotated ones.
        sequences: only these, in this order. A video is called ``DATASET-VIDEO``.

    Returns:
        The videos. The ids are the track ids. Where masks overlap, the higher id is on top.

    Raises:
        InputError: a file or frame is missing or malformed, or an id does not fit a label map.
    """
    path = burst_file(Path(root), subset)
    videos = {burst_name(video): video for video in read_burst(path)["sequences"]}
    names = chosen_names(list(videos), sequences, f"BURST {subset}")
    frames = _frames_folder(Path(root), subset)
    return tuple(
        _open_video(videos[name], frames, Path(masks) / name, f"BURST {subset}", all_frames)
        for name in names
    )


def burst_name(video: Mapping[str, Any]) -> str:
    """Return the name of a video, which is unique in a subset."""
    return f"{video['dataset']}-{video['seq_name']}".replace("/", "-")


def burst_file(root: Path, subset: str) -> Path:
    """Find the file of annotations.

    Raises:
        InputError: there is none.
    """
    places = [root / top / subset / name for name in _FILES for top in ("annotations", ".")]
    for place in places:
        if place.is_file():
            return place
    raise InputError(
        f"BURST {subset}: no annotations; looked for {', '.join(str(place) for place in places)}"
    )


def read_burst(path: Path) -> dict[str, Any]:
    """Read a file of annotations or results.

    Raises:
        InputError: it is no such file.
    """
    try:
        data = parse_json(path.read_text(encoding="utf-8"))
        for video in data["sequences"]:
            if len(video["segmentations"]) != len(video["annotated_image_paths"]):
                raise ValueError(f"{video['seq_name']}: one entry per annotated frame expected")
            burst_name(video)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: expected a BURST file with sequences, their annotated_image_paths and "
            f"segmentations; reading it failed with {type(error).__name__}: {error}"
        ) from error
    return dict(data)


def _frames_folder(root: Path, subset: str) -> Path:
    places = [root / top / subset for top in ("frames", "JPEGImages", ".")]
    found = next((place for place in places if place.is_dir() and any(_folders(place))), None)
    if found is None:
        raise InputError(
            f"BURST {subset}: no frames; looked for {', '.join(str(place) for place in places)}"
        )
    return found


def _folders(folder: Path) -> Iterable[Path]:
    return (path for path in folder.iterdir() if path.is_dir())


def _open_video(
    video: Mapping[str, Any], frames: Path, masks: Path, source: str, all_frames: bool
) -> VideoSequence:
    from vostrack.masks.palette import write_label_map

    name = burst_name(video)
    folder = frames / video["dataset"] / video["seq_name"]
    annotated = [Path(path).stem for path in video["annotated_image_paths"]]
    listed = video["all_image_paths"] if all_frames else video["annotated_image_paths"]
    paths = [folder / path for path in listed]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise InputError(f"{source}: {name} lacks {len(missing)} frames, the first is {missing[0]}")
    stems = [path.stem for path in paths]
    if not set(annotated) <= set(stems):
        raise InputError(f"{source}: {name} has an annotation of a frame that it does not list")
    truth_is_partial = _only_first_frames(video)
    starts: dict[int, int] = {}
    files: dict[str, Path] = {}
    size = (int(video["height"]), int(video["width"]))
    for stem, tracks in zip(annotated, video["segmentations"], strict=True):
        if truth_is_partial and not tracks:
            continue
        labels = _label_map(tracks, size, name)
        files[stem] = masks / f"{stem}.png"
        write_label_map(files[stem], labels)
        for number in map(int, tracks):
            starts.setdefault(number, annotated.index(stem))
    prompts = sorted({stems.index(annotated[start]) for start in starts.values()})
    if not prompts:
        raise InputError(f"{source}: {name} has no annotated object")
    categories = video.get("track_category_ids", {})
    objects = tuple(
        SequenceObject(number, str(categories.get(str(number), "")), tuple(annotated[start:]))
        for number, start in sorted(starts.items())
    )
    return VideoSequence(
        name=name,
        frames=tuple(paths),
        annotations=tuple(files.get(stem) for stem in stems),
        prompts=tuple((index, files[stems[index]]) for index in prompts),
        semantics="ids",
        source=source,
        objects=objects,
    )


def _only_first_frames(video: Mapping[str, Any]) -> bool:
    """Tell whether each track has a mask in one frame only, as where the truth is withheld."""
    tracks = [key for frame in video["segmentations"] for key in frame]
    return len(tracks) == len(set(tracks))


def _label_map(tracks: Mapping[str, Any], size: tuple[int, int], name: str) -> UInt8Array:
    import numpy as np

    from vostrack.masks.palette import VOID
    from vostrack.masks.rle import decode_rle

    labels = np.zeros(size, dtype=np.uint8)
    for key in sorted(tracks, key=int):
        if not 0 < int(key) < VOID:
            raise InputError(f"BURST: {name}: track ids must be 1 to 254, got {key}")
        rle = {"size": list(size), "counts": tracks[key]["rle"]}
        labels[decode_rle(rle)] = int(key)
    return labels
