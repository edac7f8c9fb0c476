"""Reading ``masks.json``: the run-length encoded (RLE) masks of a whole video in one file.

It is a COCO file; ``vostrack.masks.masks_json_writer`` describes it. Files of version 0.2 and
earlier had one entry per object and one mask per frame, null if the object is not visible::

    {"info": {...}, "size": [H, W], "frames": [0, 1, ...],
     "objects": [{"id": 1, "name": "left", "segmentations": [{"size": [H, W], "counts": "..."},
                                                              null, ...]}, ...]}

``frames`` contains the source's frame numbers, in the order of ``segmentations``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.files import check_regular
from vostrack.masks.palette import VOID
from vostrack.masks.rle import decode_rle
from vostrack.wording import counted

__all__ = [
    "MasksJson",
    "RleTrack",
    "is_earlier_layout",
    "load_json",
    "parse_masks_json",
    "read_masks_json",
]


@dataclass(frozen=True)
class RleTrack:
    """The masks of one object throughout the video.

    Attributes:
        id: object id, 1..254.
        name: the user's name for the object.
        segmentations: RLE of each frame; None if the object is not visible.
    """

    id: int
    name: str
    segmentations: tuple[Mapping[str, Any] | None, ...]


@dataclass(frozen=True)
class MasksJson:
    """The masks of a whole video, still encoded.

    Attributes:
        size: H and W, in pixels.
        frames: the T frame numbers of the source.
        objects: the objects, in the order of the file.
        info: further information from the writer.
    """

    size: tuple[int, int]
    frames: tuple[int, ...]
    objects: tuple[RleTrack, ...]
    info: Mapping[str, Any] = field(default_factory=dict)

    def labels(self, position: int) -> UInt8Array:
        """Decode one frame.

        Args:
            position: index into ``frames``, from 0.

        Returns:
            (H, W) uint8 ids, 0 background. Where masks overlap, the later object wins.

        Raises:
            InputError: a mask is corrupt or has another size than the file states.
        """
        labels = np.zeros(self.size, dtype=np.uint8)
        for track in self.objects:
            rle = track.segmentations[position]
            if rle is None:
                continue
            mask = decode_rle(rle)
            if mask.shape != self.size:
                raise InputError(
                    f"masks.json: the mask of object {track.id} in frame {self.frames[position]} "
                    f"has size {mask.shape}, expected {self.size}; write the file again"
                )
            labels[mask] = track.id
        return labels


def read_masks_json(path: str | os.PathLike[str]) -> MasksJson:
    """Read a ``masks.json`` file. Masks are decoded on demand.

    Raises:
        InputError: the file is missing, is not valid JSON, or has another layout.
    """
    return parse_masks_json(load_json(Path(path)), str(Path(path)))


def load_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: the file is missing or is not valid JSON.
    """
    check_regular(path, "the masks")
    try:
        # From bytes, as some programs write UTF-16.
        return json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}), expected masks as JSON; check the path"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: invalid JSON ({error}), expected COCO RLE masks; export the masks again"
        ) from error


def is_earlier_layout(content: Any) -> bool:
    """Tell whether parsed JSON is laid out as ``masks.json`` was up to version 0.2."""
    return isinstance(content, dict) and "objects" in content


def parse_masks_json(content: Any, origin: str) -> MasksJson:
    """Check the layout of a parsed ``masks.json``.

    Args:
        content: the parsed JSON.
        origin: name of the file in messages.

    Returns:
        The masks.

    Raises:
        InputError: a field is missing or has the wrong type.
    """
    earlier = is_earlier_layout(content)
    try:
        masks = _of_objects(content) if earlier else _of_annotations(content)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(
            f"{origin}: expected the layout of masks.json (info with objects, images and "
            f"annotations), got {type(error).__name__} at {str(error)[:80]}; write the file again"
        ) from error
    for track in masks.objects:
        whole = all(s is None or isinstance(s, dict) for s in track.segmentations)
        if len(track.segmentations) != len(masks.frames) or not whole or not 0 < track.id < VOID:
            raise InputError(
                f"{origin}: object {str(track.id)[:20]} has "
                f"{counted(len(track.segmentations), 'mask')}, expected an id in 1..254 and RLE "
                f"or null for each of {counted(len(masks.frames), 'frame')}; write the file again"
            )
    return masks


def _of_objects(content: Any) -> MasksJson:
    height, width = (int(n) for n in content["size"])
    frames = tuple(int(n) for n in content["frames"])
    objects = tuple(
        RleTrack(int(o["id"]), str(o.get("name", o["id"])), tuple(o["segmentations"]))
        for o in content["objects"]
    )
    return MasksJson((height, width), frames, objects, dict(content.get("info", {})))


def _of_annotations(content: Any) -> MasksJson:
    info, images = dict(content["info"]), content["images"]
    height, width = (int(n) for n in info.pop("size"))
    places = {image["id"]: k for k, image in enumerate(images)}
    objects = info.pop("objects")
    tracks: dict[int, list[Any]] = {int(o["id"]): [None] * len(images) for o in objects}
    for entry in content["annotations"]:
        if not entry.get("iscrowd"):
            tracks[int(entry["track_id"])][places[entry["image_id"]]] = entry["segmentation"]
    return MasksJson(
        (height, width),
        tuple(int(image["frame_index"]) for image in images),
        tuple(RleTrack(int(o["id"]), str(o["name"]), tuple(tracks[int(o["id"])])) for o in objects),
        info,
    )
