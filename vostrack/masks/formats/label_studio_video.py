"""Label Studio: the boxes of a video (``VideoRectangle``), the only regions that it has on videos.

https://labelstud.io/tags/videorectangle. Frames count from 1, and places are in percent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vostrack.masks.formats.json_file import write_json
from vostrack.masks.formats.losses import frame_positions, losses
from vostrack.masks.formats.shapes import cropped
from vostrack.masks.video_masks import VideoMasks, present

__all__ = ["write"]


def write(masks: VideoMasks, output: Path) -> tuple[str, ...]:
    """Write one task, with a box on each frame for each object."""
    height, width = masks.size
    positions = frame_positions(masks.frames)
    boxes: dict[int, list[dict[str, Any]]] = {entry.id: [] for entry in masks.objects}
    last: set[int] = set()
    for k, frame in enumerate(positions):
        seen = set()
        for entry, mask in present(masks, masks.labels(k)):
            box, left, top = cropped(mask)
            seen.add(entry.id)
            place = {
                "frame": frame + 1,
                "enabled": True,
                "rotation": 0,
                "x": 100 * left / width,
                "y": 100 * top / height,
                "width": 100 * box.shape[1] / width,
                "height": 100 * box.shape[0] / height,
            }
            time = masks.frames[k].time
            boxes[entry.id].append(place if time is None else {**place, "time": time})
        for number in last - seen:
            # The region ends on its last frame with enabled false.
            boxes[number][-1]["enabled"] = False
        last = seen
    count = max(positions) + 1
    duration = count / masks.frame_rate if masks.frame_rate else None
    result = [
        {
            "id": f"object-{entry.id}",
            "type": "videorectangle",
            "from_name": "box",
            "to_name": "video",
            "origin": "manual",
            "meta": {"text": [entry.name]},
            "value": {
                "framesCount": count,
                "duration": duration,
                "sequence": boxes[entry.id],
                "labels": [entry.category],
            },
        }
        for entry in masks.objects
        if boxes[entry.id]
    ]
    write_json(output, [{"data": {"video": masks.video}, "annotations": [{"result": result}]}])
    return losses(masks, times=False, frame_names=True, others=["the masks (only their boxes)"])
