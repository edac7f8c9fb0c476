"""The JSON layouts of first masks: ``masks.json``, YouTube-VIS, COCO and bare COCO RLE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vostrack.errors import InputError
from vostrack.masks.frame_names import VideoFrames, frame_number
from vostrack.masks.json_entries import (
    Content,
    Entry,
    FrameMasks,
    choose_frame,
    entry_of,
    image_size,
    number_of,
    shortened,
)
from vostrack.masks.masks_json import MasksJson, parse_masks_json

__all__ = ["parse_layout"]


def parse_layout(content: Any, frames: VideoFrames, origin: str) -> Content:
    """Detect the layout and read the objects of one frame.

    Args:
        content: the parsed JSON.
        frames: the frames of the video.
        origin: name of the file in messages.

    Raises:
        InputError: the layout is not known, or it has no masks of the frame.
    """
    tool = _other_tool(content)
    if tool is not None:
        raise InputError(
            f"{origin}: looks like the layout of {tool}, which is not read; expected masks.json, "
            "YouTube-VIS, COCO annotations or a list of COCO RLE; export the masks as COCO"
        )
    if isinstance(content, dict):
        if "objects" in content:
            return _from_masks_json(parse_masks_json(content, origin), frames, origin)
        if "annotations" in content and content.get("videos"):
            return _from_videos(content, frames, origin)
        if "annotations" in content:
            return _from_dataset(content, frames, origin)
        content = [content]
    is_list = isinstance(content, list) and all(isinstance(item, dict) for item in content)
    if is_list and all("counts" in item for item in content):
        return Content([Entry(item) for item in content])
    if is_list and any("segmentation" in item for item in content):
        kept, notes = _with_masks(content, {}, origin)
        return Content(kept, None, notes)
    raise InputError(
        f"{origin}: expected masks.json, COCO annotations, or a list of COCO RLE (size and "
        "counts), got other JSON; export the masks as COCO"
    )


def _other_tool(content: Any) -> str | None:
    """Name the tool that writes a layout that is not read."""
    item: Any = content[0] if isinstance(content, list) and content else content
    if not isinstance(item, dict):
        return None
    objects = item.get("objects")
    first: Any = objects[0] if isinstance(objects, list) and objects else None
    if isinstance(first, dict) and ("geometryType" in first or "classTitle" in first):
        return "Supervisely"
    if isinstance(item.get("shapes"), list) and "imagePath" in item:
        return "labelme"
    if "_via_img_metadata" in item or ("regions" in item and "filename" in item):
        return "VGG Image Annotator"
    results: Any = item.get("annotations") or item.get("completions")
    nested = isinstance(results, list) and results and isinstance(results[0], dict)
    if nested and "result" in results[0]:
        return "Label Studio"
    if "frames" in item and "size" not in item and "segmentations" not in item:
        return "a video annotation tool"
    return None


def _from_masks_json(video: MasksJson, frames: VideoFrames, origin: str) -> Content:
    """Read one frame of ``masks.json``."""
    if not video.frames:
        raise InputError(
            f"{origin}: contains no frame, expected at least one; write the file again"
        )
    marked = [
        FrameMasks(k, f"frame {shortened(number, 20)}", number)
        for k, number in enumerate(video.frames)
        if any(track.segmentations[k] is not None for track in video.objects)
    ]
    if not marked:
        return Content((), video.size)
    found, frame, notes = choose_frame(marked, video.frames, frames, origin, counted=True)
    # Every file of a whole video has many frames; there is nothing to say about the first.
    notes = () if found.number == frames.wanted or not len(frames.numbers) else notes
    seen = [track for track in video.objects if track.segmentations[found.key] is not None]
    absent = [track.name for track in video.objects if track.segmentations[found.key] is None]
    if absent:
        names = ", ".join(shortened(name, 40) for name in absent)
        notes += (f"{origin}: left out because not visible in {found.name}: {names}",)
    entries = [
        Entry(track.segmentations[found.key], track.id, shortened(track.name)) for track in seen
    ]
    return Content(entries, video.size, notes, frame)


def _from_videos(content: Mapping[str, Any], frames: VideoFrames, origin: str) -> Content:
    """Read one frame of a YouTube-VIS or OVIS file."""
    video = content["videos"][0]
    tracks = [a for a in content["annotations"] if a.get("video_id") == video.get("id")]
    tracks = [a for a in tracks if isinstance(a.get("segmentations"), list)]
    if not tracks:
        raise InputError(
            f"{origin}: expected annotations with segmentations of video "
            f"{shortened(video.get('id'))}, got none; export instance segmentation, not boxes"
        )
    length = max(len(a["segmentations"]) for a in tracks)
    names = video.get("file_names")
    if not isinstance(names, list) or len(names) < length:
        names = [f"frame {k}" for k in range(length)]
    numbers = [frame_number(str(name).split("/")[-1]) for name in names]
    if None in numbers or len(set(numbers)) != len(numbers):
        numbers = list(range(len(names)))
    marked = [
        FrameMasks(k, shortened(names[k]), numbers[k])
        for k in range(length)
        if any(k < len(a["segmentations"]) and a["segmentations"][k] for a in tracks)
    ]
    if not marked:
        return Content(())
    found, frame, notes = choose_frame(marked, numbers, frames, origin)
    notes = () if not len(frames.numbers) or frame == frames.wanted else notes
    if len(content["videos"]) > 1:
        name = shortened(names[0] if names else video.get("id"))
        notes += (f"{origin}: contains several videos; the first one, with {name}, is used",)
    categories = _categories(content)
    entries = [
        entry_of(a, a["segmentations"][found.key], categories)
        for a in tracks
        if found.key < len(a["segmentations"]) and a["segmentations"][found.key]
    ]
    if len(entries) < len(tracks):
        notes += (
            f"{origin}: {len(tracks) - len(entries)} objects are left out because they are not "
            f"visible in {found.name}",
        )
    return Content(entries, image_size(video, origin), notes, frame)


def _from_dataset(content: Mapping[str, Any], frames: VideoFrames, origin: str) -> Content:
    """Read the annotations of one image of a COCO data set."""
    images, annotations = content.get("images") or [], content["annotations"]
    whole = isinstance(annotations, list) and all(isinstance(a, dict) for a in annotations)
    some = whole and any("segmentation" in a for a in annotations)
    if not some or not (isinstance(images, list) and all(isinstance(i, dict) for i in images)):
        raise InputError(
            f"{origin}: expected COCO annotations with a segmentation each, but some have none; "
            "export instance segmentation, not boxes"
        )
    masked = [a for a in annotations if _has_mask(a.get("segmentation"))]
    shown = list(dict.fromkeys(a.get("image_id") for a in masked or annotations))
    table = {i.get("id"): i for i in reversed(images)}
    listed = [i.get("id") for i in images if i.get("id") in shown]
    marked = [_image(key, table) for key in listed + [key for key in shown if key not in table]]
    numbers = [number_of(i) for i in images]
    found, frame, notes = choose_frame(marked, numbers, frames, origin)
    chosen = [a for a in annotations if a.get("image_id") == found.key]
    entries, left_out = _with_masks(chosen, _categories(content), origin)
    image: Any = table.get(
        found.key, {} if found.key is not None or len(images) != 1 else images[0]
    )
    return Content(entries, image_size(image, origin), (*notes, *left_out), frame)


def _image(key: Any, table: Mapping[Any, Mapping[str, Any]]) -> FrameMasks:
    item = table.get(key, {})
    name = shortened(item.get("file_name") or key)
    return FrameMasks(key, name, number_of(item))


def _categories(content: Mapping[str, Any]) -> dict[Any, str]:
    found = content.get("categories") or []
    return {c.get("id"): str(c.get("name")) for c in found if c.get("name")}


def _with_masks(
    annotations: Sequence[Mapping[str, Any]], categories: Mapping[Any, str], origin: str
) -> tuple[list[Entry], tuple[str, ...]]:
    """Leave out the annotations that are boxes.

    Raises:
        InputError: all of them are boxes.
    """
    entries = [entry_of(a, a.get("segmentation"), categories) for a in annotations]
    boxes = [
        f"{shortened(a.get('id', k + 1), 20)}{f' ({entry.name})' if entry.name else ''}"
        for k, (a, entry) in enumerate(zip(annotations, entries, strict=True))
        if not _has_mask(entry.segmentation)
    ]
    if not boxes:
        return entries, ()
    if len(boxes) == len(entries):
        raise InputError(
            f"{origin}: the segmentations are empty, expected polygons or RLE, got only boxes; "
            "export instance segmentation, not boxes"
        )
    kept = [entry for entry in entries if _has_mask(entry.segmentation)]
    return kept, (
        f"{origin}: annotations without a mask (their segmentation is empty) are left out: "
        f"{', '.join(boxes[:8])}; draw polygons or masks in place of boxes to track them",
    )


def _has_mask(segmentation: Any) -> bool:
    if isinstance(segmentation, list):
        return any(part != [] for part in segmentation)
    return segmentation is not None
