"""``supervision.Detections``: the masks of one frame in Python.

https://supervision.roboflow.com
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.masks.annotations import shortened
from vostrack.masks.formats.extras import optional
from vostrack.masks.palette import VOID
from vostrack.masks.stack import stack_masks
from vostrack.masks.validation import MAX_OBJECTS, MIN_PIXELS, FirstMask, check_limits, finish
from vostrack.masks.video_masks import MaskObject

__all__ = ["from_detections", "to_detections"]


def to_detections(labels: UInt8Array, objects: Sequence[MaskObject] = ()) -> Any:
    """Return the objects of a label map as ``supervision.Detections``.

    Args:
        labels: (H, W) uint8; 0 background, 1..254 object ids, 255 void, which is left out.
        objects: names and classes, such as ``VideoMasks.objects``.

    Returns:
        ``Detections`` with ``xyxy``, ``mask`` (N, H, W) bool, ``tracker_id`` (the object id),
        ``class_id`` (position of the class, in the order of ``objects``) and
        ``data["class_name"]``, by ascending id.

    Raises:
        InputError: supervision is not installed, or ``labels`` is no label map.
    """
    supervision = optional("supervision", "formats", "supervision.Detections")
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise InputError(
            f"labels: expected uint8 of shape (H, W), got {labels.dtype} of shape {labels.shape}"
        )
    known = {entry.id: entry for entry in objects}
    ids = [int(n) for n in np.unique(labels) if 0 < n < VOID]
    if not ids:
        return supervision.Detections.empty()
    classes = list(dict.fromkeys(entry.category for entry in objects)) or ["object"]
    names = [known[n].category if n in known else "object" for n in ids]
    classes += [name for name in dict.fromkeys(names) if name not in classes]
    masks = np.stack([labels == n for n in ids])
    return supervision.Detections(
        xyxy=supervision.mask_to_xyxy(masks).astype(np.float32),
        mask=masks,
        class_id=np.array([classes.index(name) for name in names]),
        tracker_id=np.array(ids),
        data={
            "class_name": np.array(names),
            "name": np.array([known[n].name if n in known else str(n) for n in ids]),
        },
    )


def from_detections(
    detections: Any,
    *,
    size: tuple[int, int] | None = None,
    max_objects: int = MAX_OBJECTS,
    min_pixels: int = MIN_PIXELS,
) -> FirstMask:
    """Return ``supervision.Detections`` with masks as a first mask.

    The ids are ``tracker_id`` if they are distinct and in 1..254, and 1..N otherwise.

    Args:
        detections: the detections of one frame.
        size: H and W of the video in pixels, if known.
        max_objects: maximum number of objects, 1..254.
        min_pixels: a warning is issued for objects with fewer pixels; at least 0.

    Raises:
        InputError: there are no masks, or they cannot be used.
    """
    check_limits(max_objects, min_pixels)
    masks = getattr(detections, "mask", None)
    if masks is None:
        raise InputError(
            f"detections: expected masks (N, H, W), got {type(detections).__name__} without masks; "
            "use a model that segments"
        )
    planes = np.asarray(masks).astype(np.bool_)
    if planes.ndim != 3:
        raise InputError(
            f"detections: expected masks of shape (N, H, W), got {planes.shape}; give the masks of "
            "one frame"
        )
    given = getattr(detections, "tracker_id", None)
    own = [] if given is None else [int(n) for n in given]
    usable = len(set(own)) == len(planes) and all(0 < n < VOID for n in own)
    ids = own if usable else list(range(1, len(planes) + 1))
    data = getattr(detections, "data", None) or {}
    names = data.get("name", data.get("class_name", ids))
    parsed = stack_masks(planes, ids, list(map(shortened, names)), "detections", max_objects)
    return finish(parsed, "detections", size, min_pixels)
