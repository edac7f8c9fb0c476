"""YouTube-VIS, OVIS and COCO video: one annotation for each object, one mask for each frame.

Yang, Fan and Xu, "Video Instance Segmentation" (2019).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vostrack.errors import InputError
from vostrack.masks.annotations import (
    AnnotatedFrame,
    Annotations,
    Entry,
    check_size,
    number_in,
    shortened,
    whole_number,
)
from vostrack.masks.formats.coco import categories_in, entry_of, info_of, names_of
from vostrack.masks.formats.json_file import write_json
from vostrack.masks.formats.listed import of_first_video, of_listed
from vostrack.masks.masks_json_writer import annotation
from vostrack.masks.palette import VOID
from vostrack.masks.picture_names import file_or_none, position_or_none
from vostrack.masks.rle import encode_run_lengths, is_empty_rle
from vostrack.masks.video_masks import MaskObject, VideoMasks, file_name, present
from vostrack.wording import counted

__all__ = ["is_results", "parse", "parse_results", "write"]


def parse(content: Mapping[str, Any], origin: str) -> Annotations:
    """Read the first video of a file.

    Raises:
        InputError: it has no segmentations, or all are of other videos.
    """
    videos = content["videos"]
    video = videos[0]
    listed, strays = of_listed(content["annotations"], videos, "video", origin)
    own, others = of_first_video(listed, videos, "annotation", origin)
    tracks, boxes = _with_masks(own, video, origin)
    length = max(len(a["segmentations"]) for a in tracks)
    names, numbers, numbered = _frames(video, length)
    names, files = _own_names(content, video, names) if numbered else (names, [None] * len(names))
    size = check_size(video.get("height"), video.get("width"), origin)
    times, positions = (_list(video.get(key), len(names)) for key in ("times", "frame_positions"))
    frames = []
    for k in range(len(names)):
        time = times[k]
        time = float(time) if isinstance(time, (int, float)) else None
        entries = tuple(_entry(a, k, content) for a in tracks if _visible(a, k))
        place = position_or_none(positions[k])
        frames.append(AnnotatedFrame(names[k], numbers[k], entries, size, time, files[k], place))
    notes = (*strays, *boxes)
    if len(videos) > 1:
        name = shortened(names[0] if names else video.get("id"))
        notes += (
            f"{origin}: contains several videos; the first one, with {name}, is used{others}",
        )
    objects = {
        _key(a): replace(entry, name=entry.name or str(entry.number))
        for a in tracks
        for entry in (entry_of(a, None, categories_in(content)),)
        if not entry.void
    }
    info = content.get("info")
    rate = info.get("frame_rate") if isinstance(info, dict) else None
    return Annotations(
        tuple(frames),
        counted=numbered,
        video=True,
        notes=notes,
        source=shortened(video.get("name") or ""),
        frame_rate=float(rate) if isinstance(rate, (int, float)) and 0 < rate < 1e6 else None,
        objects=objects,
    )


def _with_masks(
    own: Sequence[Mapping[str, Any]], video: Mapping[str, Any], origin: str
) -> tuple[list[Mapping[str, Any]], tuple[str, ...]]:
    """Return the annotations that have segmentations, and a note on those that are boxes."""
    tracks = [a for a in own if isinstance(a.get("segmentations"), list)]
    if not tracks:
        raise InputError(
            f"{origin}: expected annotations with segmentations of video "
            f"{shortened(video.get('id'))}, got none; export instance segmentation, not boxes"
        )
    if len(tracks) == len(own):
        return tracks, ()
    boxes = counted(len(own) - len(tracks), "annotation")
    return tracks, (f"{origin}: left out {boxes} without segmentations",)


def is_results(content: Any) -> bool:
    """Tell whether this is a list of results as they are submitted to the benchmark."""
    return (
        isinstance(content, list)
        and bool(content)
        and all(isinstance(a, dict) and isinstance(a.get("segmentations"), list) for a in content)
    )


def parse_results(content: Sequence[Mapping[str, Any]], origin: str) -> Annotations:
    """Read the results of the first video. Where they overlap, the surest one wins.

    Raises:
        InputError: they have no segmentations.
    """
    videos = [{"id": video} for video in dict.fromkeys(str(a.get("video_id")) for a in content)]
    own, others = of_first_video(content, videos, "result", origin)
    own.sort(key=lambda a: float(a.get("score", 1)))
    tracks = [{"id": k, **a, "video_id": 1} for k, a in enumerate(own, start=1)]
    read = parse({"videos": [{"id": 1}], "annotations": tracks}, origin)
    if len(videos) == 1:
        return read
    name = shortened(videos[0]["id"])
    return read.noted(f"{origin}: contains several videos; the first one, {name}, is used{others}")


def _frames(video: Mapping[str, Any], length: int) -> tuple[list[str], list[int], bool]:
    """Return names and numbers of the frames, and whether the file states the numbers itself."""
    names = video.get("file_names")
    if not isinstance(names, list) or len(names) < length:
        names = [f"frame {k}" for k in range(length)]
    stated = video.get("frame_numbers")
    numbers: list[int | None] = list(map(number_in, map(str, names)))
    numbered = isinstance(stated, list) and len(stated) == len(names)
    if isinstance(stated, list) and numbered:
        numbers = list(map(whole_number, stated))
    known = [n for n in numbers if n is not None]
    if len(set(known)) != len(names):
        return list(map(shortened, names)), list(range(len(names))), False
    return [_plain_name(name, numbered) for name in names], known, numbered


def _list(value: Any, length: int) -> list[Any]:
    """Return a list with an entry for each frame; of None if the file has no such list."""
    return value if isinstance(value, list) and len(value) == length else [None] * length


def _own_names(
    content: Mapping[str, Any], video: Mapping[str, Any], names: list[str]
) -> tuple[list[str], list[str | None]]:
    """Return the own names of the frames with their image files, if a writer of ours noted them."""
    own, files = names_of(content.get("info"), len(names)), video.get("file_names")
    if own is None or not isinstance(files, list) or len(files) < len(own):
        return names, [None] * len(names)
    return own, [file_or_none(f) or f"{n}.png" for n, f in zip(own, files, strict=False)]


def _plain_name(name: Any, numbered: bool) -> str:
    return shortened(name).removesuffix(".png") if numbered else shortened(name)


def _visible(track: Mapping[str, Any], position: int) -> bool:
    coded = track["segmentations"]
    return position < len(coded) and bool(coded[position]) and not is_empty_rle(coded[position])


def _entry(track: Mapping[str, Any], position: int, content: Mapping[str, Any]) -> Entry:
    entry = entry_of(track, track["segmentations"][position], categories_in(content))
    return replace(entry, track=None if entry.void else _key(track))


def _key(track: Mapping[str, Any]) -> str:
    return shortened(track.get("id", track.get("track_id")))


def write(masks: VideoMasks, output: Path) -> tuple[str, ...]:
    """Write a file with one video. Void is a crowd.

    Run lengths are not compressed, as in the annotations of the benchmark: its tools expect that.
    """
    classes = list(masks.categories)
    tracks = {entry.id: _track(entry, classes, masks) for entry in masks.objects}
    for position in range(len(masks.frames)):
        for entry, mask in present(masks, masks.labels(position), void=True):
            if entry.id not in tracks:
                classes.append(entry.category)
                tracks[entry.id] = _track(entry, classes, masks)
            made, track = annotation(mask), tracks[entry.id]
            track["segmentations"][position] = encode_run_lengths(mask)
            track["bboxes"][position] = made["bbox"]
            track["areas"][position] = made["area"]
    video: dict[str, Any] = {
        "id": 1,
        "name": masks.video,
        "width": masks.size[1],
        "height": masks.size[0],
        "length": len(masks.frames),
        "file_names": [file_name(frame) for frame in masks.frames],
        "frame_numbers": [frame.number for frame in masks.frames],
    }
    if all(frame.position is not None for frame in masks.frames):
        video["frame_positions"] = [frame.position for frame in masks.frames]
    if all(frame.time is not None for frame in masks.frames):
        video["times"] = [frame.time for frame in masks.frames]
    content = {
        "info": info_of(masks),
        "licenses": [],
        "videos": [video],
        "annotations": list(tracks.values()),
        "categories": [
            {"id": k, "name": name, "supercategory": ""} for k, name in enumerate(classes, start=1)
        ],
    }
    write_json(output, content)
    return ()


def _track(entry: MaskObject, classes: list[str], masks: VideoMasks) -> dict[str, Any]:
    length = len(masks.frames)
    return {
        "id": entry.id,
        "video_id": 1,
        "category_id": classes.index(entry.category) + 1,
        "name": entry.name,
        "iscrowd": int(entry.id == VOID),
        "height": masks.size[0],
        "width": masks.size[1],
        "length": 1,
        "segmentations": [None] * length,
        "bboxes": [None] * length,
        "areas": [None] * length,
    }
