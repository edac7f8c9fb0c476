"""SA-V: masklets, that is one list of RLE for each annotated frame, in one JSON file.

Ravi et al., "SAM 2: Segment Anything in Images and Videos" (2024); sav_dataset/README.md of
https://github.com/facebookresearch/sam2. Its videos have 24 frames a second, and every fourth frame
is annotated.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vostrack.errors import InputError
from vostrack.masks.annotations import (
    AnnotatedFrame,
    Annotations,
    Entry,
    check_size,
    shortened,
    whole_number,
)
from vostrack.masks.formats.json_file import write_json
from vostrack.masks.formats.losses import losses
from vostrack.masks.palette import VOID
from vostrack.masks.rle import encode_rle, is_empty_rle
from vostrack.masks.video_masks import VideoMasks

__all__ = ["is_layout", "parse", "write"]


def is_layout(content: Mapping[str, Any]) -> bool:
    """Tell whether parsed JSON is a file of SA-V."""
    return isinstance(content.get("masklet"), list)


def parse(content: Mapping[str, Any], origin: str) -> Annotations:
    """Read the masklets of a video.

    If the video has more frames than there are annotated ones, these are taken to be evenly spaced.

    Raises:
        InputError: there are no masklets.
    """
    masklets = content["masklet"]
    if not masklets or not all(isinstance(frame, list) for frame in masklets):
        raise InputError(
            f"{origin}: expected masklets of SA-V, one list of RLE for each annotated frame; give "
            "the file ..._manual.json or ..._auto.json"
        )
    size = check_size(content.get("video_height"), content.get("video_width"), origin)
    width = max(map(len, masklets))
    ids = content.get("masklet_id")
    ids = ids if isinstance(ids, list) and len(ids) >= width else list(range(width))
    numbers, step = _numbers(content, len(masklets))
    named = content.get("vostrack")
    stated = named if isinstance(named, dict) else {}
    names, classes = stated.get("names") or {}, stated.get("categories") or {}
    frame_names = stated.get("frame_names") or []
    frames = []
    for k, coded in enumerate(masklets):
        entries = [
            Entry(
                rle,
                whole_number(ids[n]),
                shortened(names[str(ids[n])]) if str(ids[n]) in names else None,
                track=str(ids[n]),
                category=shortened(classes[str(ids[n])]) if str(ids[n]) in classes else None,
            )
            for n, rle in enumerate(coded)
            if isinstance(rle, dict) and not is_empty_rle(rle)
        ]
        name = shortened(frame_names[k]) if k < len(frame_names) else f"frame {numbers[k]}"
        frames.append(AnnotatedFrame(name, numbers[k], tuple(entries), size))
    notes = (f"{origin}: every {step}th frame of the video has masks, as in SA-V",) * (step > 1)
    return Annotations(
        tuple(frames),
        counted=True,
        video=True,
        notes=notes,
        source=shortened(content.get("video_id") or ""),
    )


def _numbers(content: Mapping[str, Any], length: int) -> tuple[list[int], int]:
    """Return the frame numbers of the annotated frames, and how far they are apart."""
    stated = content.get("vostrack")
    own = stated.get("frame_numbers") if isinstance(stated, dict) else None
    if isinstance(own, list) and len(own) == length and all(type(n) is int for n in own):
        return own, 1
    count = whole_number(content.get("video_frame_count")) or length
    step = max(round(count / length), 1)
    return [k * step for k in range(length)], step


def write(masks: VideoMasks, output: Path) -> tuple[str, ...]:
    """Write the masklets of all frames. SA-V has neither names nor void.

    What SA-V does not have is kept in an entry ``vostrack``, which other tools pass over.
    """
    ids = [entry.id for entry in masks.objects]
    empty = encode_rle(np.zeros(masks.size, np.bool_))
    masklets, areas, void = [], np.zeros((len(masks.frames), len(ids))), 0
    for position in range(len(masks.frames)):
        labels = masks.labels(position)
        counts = np.bincount(labels.ravel(), minlength=256)
        areas[position] = counts[ids]
        void += int(counts[VOID])
        masklets.append([encode_rle(labels == n) if counts[n] else empty for n in ids])
    height, width = masks.size
    seen = areas > 0
    mean = [float(a[a > 0].mean()) if (a > 0).any() else 0.0 for a in areas.T]
    content: dict[str, Any] = {
        "video_id": Path(masks.video).stem or "video",
        "video_duration": _duration(masks),
        "video_frame_count": len(masks.frames),
        "video_height": height,
        "video_width": width,
        "video_resolution": height * width,
        "masklet": masklets,
        "masklet_id": ids,
        "masklet_size_rel": [area / (height * width) for area in mean],
        "masklet_size_abs": mean,
        "masklet_visibility_changes": [int(np.abs(np.diff(s.astype(int))).sum()) for s in seen.T],
        "masklet_first_appeared_frame": [int(s.argmax()) if s.any() else None for s in seen.T],
        "masklet_frame_count": [len(masks.frames)] * len(ids),
        "masklet_edited_frame_count": [0] * len(ids),
        "masklet_type": ["auto"] * len(ids),
        "masklet_stability_score": [None] * len(ids),
        "masklet_num": len(ids),
        "vostrack": {
            "frame_numbers": [frame.number for frame in masks.frames],
            "frame_names": [f.name if f.named else f"frame {f.number}" for f in masks.frames],
            "names": {str(entry.id): entry.name for entry in masks.objects},
            "categories": {str(entry.id): entry.category for entry in masks.objects},
        },
    }
    write_json(output, content)
    return losses(masks, void=void)


def _duration(masks: VideoMasks) -> float | None:
    return len(masks.frames) / masks.frame_rate if masks.frame_rate else None
