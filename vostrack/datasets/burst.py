"""The BURST layout: frames in folders, masks of all videos in one JSON file.

Athar et al. 2023, "BURST: A Benchmark for Unifying Object Recognition, Segmentation and Tracking in
Video". Videos are annotated, and scored, at one frame per second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vostrack.datasets.metadata import object_id, of_type, pixels, read_json
from vostrack.datasets.video_sequence import (
    SequenceObject,
    VideoSequence,
    chosen_names,
    subfolders,
)
from vostrack.errors import InputError
from vostrack.wording import counted

if TYPE_CHECKING:
    from vostrack.arrays import UInt8Array

__all__ = ["burst_file", "burst_name", "open_burst", "read_burst"]

_FIRST_FRAMES = "first_frame_annotations.json"
_CONTENT = "a BURST file with sequences, their frames and segmentations"
_FILES = ("all_classes.json", _FIRST_FRAMES)


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
        _open_video(_Video(path, videos[name]), frames, Path(masks) / name, subset, all_frames)
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
        InputError: it is no such file, or lists a video twice.
    """
    data = of_type(read_json(path, _CONTENT), dict, str(path))
    videos = data.get("sequences")
    if not isinstance(videos, list) or not videos:
        raise InputError(f"{path}: expected {_CONTENT}, got no sequence; check the file")
    seen: dict[str, int] = {}
    for number, video in enumerate(videos):
        _check_video(video, f"{path}: sequence {number}")
        first = seen.setdefault(burst_name(video), number)
        if first != number:
            raise InputError(
                f"{path}: sequence {number} is {burst_name(video)}, as sequence {first} is already"
                "; keep one of them"
            )
    return data


def _check_video(video: Any, place: str) -> None:
    """Check the parts of a video that do not depend on its frames and masks."""
    entry = of_type(video, dict, place)
    for key in ("dataset", "seq_name"):
        of_type(entry.get(key), str, f"{place}: {key}")
    place = f"{place} ({burst_name(entry)})"
    for key in ("height", "width"):
        pixels(entry.get(key), f"{place}: {key}")
    for key in ("segmentations", "annotated_image_paths", "all_image_paths"):
        if key != "all_image_paths" or key in entry:
            of_type(entry.get(key), list, f"{place}: {key}")
    images = entry["annotated_image_paths"]
    for image in (*images, *entry.get("all_image_paths", ())):
        of_type(image, str, f"{place}: path of an image")
    if len(entry["segmentations"]) != len(images):
        raise InputError(
            f"{place}: expected one entry of segmentations for each of the {len(images)} annotated "
            f"frames, got {len(entry['segmentations'])}; correct the file"
        )
    for image, tracks in zip(images, entry["segmentations"], strict=True):
        of_type(tracks, dict, f"{place}: segmentations of {image}")


def _frames_folder(root: Path, subset: str) -> Path:
    places = [root / top / subset for top in ("frames", "JPEGImages", ".")]
    found = next((place for place in places if subfolders(place)), None)
    if found is None:
        raise InputError(
            f"BURST {subset}: no frames; looked for {', '.join(str(place) for place in places)}"
        )
    return found


@dataclass(frozen=True)
class _Video:
    """A video in a file of annotations."""

    path: Path
    entry: Mapping[str, Any]

    @property
    def name(self) -> str:
        return burst_name(self.entry)

    @property
    def size(self) -> tuple[int, int]:
        return self.entry["height"], self.entry["width"]

    @property
    def annotated(self) -> list[str]:
        """The names of the annotated frames."""
        return [Path(path).stem for path in self.entry["annotated_image_paths"]]

    @property
    def masks(self) -> dict[str, Mapping[str, Any]]:
        """The tracks in each annotated frame, without frames whose truth is withheld."""
        found = zip(self.annotated, self.entry["segmentations"], strict=True)
        withheld = self.path.name == _FIRST_FRAMES
        return {stem: tracks for stem, tracks in found if tracks or not withheld}


def _open_video(
    video: _Video, frames: Path, masks: Path, subset: str, all_frames: bool
) -> VideoSequence:
    from vostrack.masks.palette import write_label_map

    source, entry = f"BURST {subset}", video.entry
    listed = entry.get("all_image_paths") if all_frames else entry["annotated_image_paths"]
    paths = [frames / entry["dataset"] / entry["seq_name"] / path for path in listed or ()]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise InputError(
            f"{source}: {video.name} lacks {counted(len(missing), 'frame')}, the first being "
            f"{missing[0]}"
        )
    stems = [path.stem for path in paths]
    annotated = video.annotated
    if not set(annotated) <= set(stems):
        raise InputError(f"{source}: {video.name} has an annotation of a frame it does not list")
    starts: dict[int, int] = {}
    files: dict[str, Path] = {}
    for stem, tracks in video.masks.items():
        labels = _label_map(tracks, video, stem)
        files[stem] = masks / f"{stem}.png"
        write_label_map(files[stem], labels)
        for number in map(int, tracks):
            starts.setdefault(number, annotated.index(stem))
    prompts = sorted({stems.index(annotated[start]) for start in starts.values()})
    if not prompts:
        raise InputError(f"{source}: {video.name} has no annotated object")
    categories = entry.get("track_category_ids") or {}
    objects = tuple(
        SequenceObject(number, str(categories.get(str(number), "")), tuple(annotated[start:]))
        for number, start in sorted(starts.items())
    )
    return VideoSequence(
        name=video.name,
        frames=tuple(paths),
        annotations=tuple(files.get(stem) for stem in stems),
        prompts=tuple((index, files[stems[index]]) for index in prompts),
        semantics="ids",
        source=source,
        objects=objects,
    )


def _label_map(tracks: Mapping[str, Any], video: _Video, frame: str) -> UInt8Array:
    import numpy as np

    from vostrack.masks.rle import decode_rle

    labels = np.zeros(video.size, dtype=np.uint8)
    here = f"{video.path}: {video.name}, frame {frame}"
    for number, key in sorted((object_id(key, here), key) for key in tracks):
        place = f"{here}, track {key}"
        found = of_type(tracks[key], dict, place)
        try:
            mask = decode_rle({"size": list(video.size), "counts": found.get("rle")})
        except InputError as error:
            raise InputError(f"{place}: {error}") from None
        labels[mask] = number
    return labels
