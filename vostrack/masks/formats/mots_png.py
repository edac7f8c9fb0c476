"""MOTS label maps: 16-bit PNG files whose values are class x 1000 + instance; 10000 is ignored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from vostrack.files import atomic_path
from vostrack.masks.formats.losses import losses
from vostrack.masks.formats.mots_classes import IGNORED, class_name, class_numbers
from vostrack.masks.palette import VOID
from vostrack.masks.video_masks import VideoMasks

__all__ = ["write"]


def write(masks: VideoMasks, output: Path) -> tuple[str, ...]:
    """Write a file for each frame. Counted frames are named 000000.png, as in KITTI MOTS."""
    kinds = class_numbers(masks.categories)
    table = np.zeros(256, np.uint16)
    table[VOID] = IGNORED * 1000
    for entry in masks.objects:
        table[entry.id] = kinds[entry.category] * 1000 + entry.id
    for position, frame in enumerate(masks.frames):
        name = frame.name if frame.named else f"{frame.number:06d}"
        with atomic_path(output / f"{name}.png") as temporary:
            Image.fromarray(table[masks.labels(position)]).save(temporary, format="PNG")
    unknown = [name for name in masks.categories if class_name(kinds[name]) != name]
    lost = [f"the names of classes ({', '.join(unknown[:4])})"] if unknown else []
    return losses(masks, names="all", others=lost)
