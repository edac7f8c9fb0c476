"""Which JSON layout a file has, and what it contains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vostrack.errors import InputError
from vostrack.masks.annotations import AnnotatedFrame, Annotations, Entry, shortened
from vostrack.masks.formats import (
    burst,
    coco,
    label_studio,
    labelme,
    sa_v,
    supervisely,
    youtube_vis,
)
from vostrack.masks.masks_json import is_earlier_layout, parse_masks_json

__all__ = ["parse_json"]

_KNOWN = "masks.json, COCO, YouTube-VIS or another layout of docs/formats.md"


def parse_json(content: Any, origin: str) -> Annotations:
    """Detect the layout of a JSON document and read it.

    Args:
        content: the parsed JSON.
        origin: name of the file in messages.

    Raises:
        InputError: the layout is not known, or something in it has the wrong form.
    """
    try:
        return _parse(content, origin)
    except InputError:
        raise
    except (TypeError, KeyError, AttributeError, ValueError, OverflowError, IndexError) as error:
        raise InputError(
            f"{origin}: the JSON is not laid out as COCO ({shortened(error)}), expected "
            "annotations with segmentations; export the masks as COCO"
        ) from error


def _parse(content: Any, origin: str) -> Annotations:
    tool = _other_tool(content)
    if tool is not None:
        raise InputError(
            f"{origin}: looks like the layout of {tool}, which is not read; expected {_KNOWN}; "
            "export the masks as COCO"
        )
    if label_studio.is_layout(content):
        return label_studio.parse(content, origin)
    if isinstance(content, dict):
        read = _of_tool(content, origin)
        if read is not None:
            return read
        if is_earlier_layout(content):
            return _from_masks_json(content, origin)
        if "annotations" in content:
            return _from_coco(content, origin)
        content = [content]
    if youtube_vis.is_results(content):
        return youtube_vis.parse_results(content, origin)
    is_list = isinstance(content, list) and all(isinstance(item, dict) for item in content)
    if is_list and (
        all("counts" in item for item in content) or any("segmentation" in i for i in content)
    ):
        return coco.parse_list(content, origin)
    raise InputError(
        f"{origin}: expected masks.json, COCO annotations, or a list of COCO RLE (size and "
        "counts), got other JSON; export the masks as COCO"
    )


def _of_tool(content: Mapping[str, Any], origin: str) -> Annotations | None:
    """Read the layouts of single tools; None if it is none of them."""
    if labelme.is_layout(content):
        return labelme.parse(content, origin)
    if supervisely.is_video(content):
        return supervisely.parse_video(content, origin)
    empty = content.get("objects") == [] and isinstance(content.get("size"), dict)
    if supervisely.is_image(content) or empty:
        return Annotations((supervisely.parse_image(content, origin),))
    if burst.is_layout(content):
        return burst.parse(content, origin)
    return sa_v.parse(content, origin) if sa_v.is_layout(content) else None


def _from_coco(content: Mapping[str, Any], origin: str) -> Annotations:
    annotations = content["annotations"]
    of_video = content.get("videos") and not (
        isinstance(annotations, list)
        and any(isinstance(a, dict) and "segmentation" in a for a in annotations)
    )
    return youtube_vis.parse(content, origin) if of_video else coco.parse(content, origin)


def _other_tool(content: Any) -> str | None:
    """Name the tool that writes a layout that is not read."""
    item: Any = content[0] if isinstance(content, list) and content else content
    if not isinstance(item, dict):
        return None
    first = next(iter(item.values()), None)
    for one in (item, first):
        if isinstance(one, dict) and "regions" in one and "filename" in one:
            return "VGG Image Annotator"
    if "_via_img_metadata" in item:
        return "VGG Image Annotator"
    if "frames" in item and "size" not in item and "segmentations" not in item:
        return "a video annotation tool"
    return None


def _from_masks_json(content: Any, origin: str) -> Annotations:
    """Read ``masks.json`` as versions up to 0.2 wrote it."""
    video = parse_masks_json(content, origin)
    if not video.frames:
        raise InputError(
            f"{origin}: contains no frame, expected at least one; write the file again"
        )
    names = video.info.get("frame_names")
    own = isinstance(names, list) and len(names) == len(video.frames)
    frames = tuple(
        AnnotatedFrame(
            shortened(names[k]) if own else f"frame {shortened(number, 20)}",  # type: ignore[index]
            number,
            tuple(
                Entry(coded, track.id, shortened(track.name), track=str(track.id))
                for track in video.objects
                if (coded := track.segmentations[k]) is not None
            ),
            video.size,
        )
        for k, number in enumerate(video.frames)
    )
    objects = {
        str(track.id): Entry(None, track.id, shortened(track.name)) for track in video.objects
    }
    rate = video.info.get("frame_rate")
    return Annotations(
        frames,
        counted=True,
        video=True,
        source=shortened(video.info.get("video") or ""),
        frame_rate=float(rate) if isinstance(rate, (int, float)) and 0 < rate < 1e6 else None,
        objects=objects,
    )
