"""nnU-Net version 2: the raw data set of a video, with ``dataset.json`` and ``labelsTr``.

Isensee et al., "nnU-Net" (2021); documentation/dataset_format.md of https://github.com/MIC-DKFZ/nnUNet.
Labels are numbered without gaps, and the label to ignore comes last.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vostrack.errors import InputError
from vostrack.files import atomic_path
from vostrack.masks.annotations import shortened, whole_number
from vostrack.masks.formats.image_folder import images_in, read_stack
from vostrack.masks.formats.json_file import write_json
from vostrack.masks.formats.label_stack import LabelStack
from vostrack.masks.formats.losses import losses
from vostrack.masks.masks_json import load_json
from vostrack.masks.palette import VOID
from vostrack.masks.video_masks import MaskFrame, VideoMasks

__all__ = ["is_layout", "read", "write"]


def is_layout(folder: Path) -> bool:
    """Tell whether a folder is a raw data set of nnU-Net."""
    return (folder / "dataset.json").is_file() and (folder / "labelsTr").is_dir()


def read(folder: Path) -> LabelStack:
    """Read the label maps of a data set.

    Raises:
        InputError: ``dataset.json`` is damaged, or the label maps are not PNG or TIFF.
    """
    origin, content = str(folder), load_json(folder / "dataset.json")
    labels = content.get("labels") if isinstance(content, dict) else None
    if not isinstance(labels, dict):
        raise InputError(
            f"{folder / 'dataset.json'}: expected labels by name, got {shortened(labels, 40)}; "
            "give a data set of nnU-Net version 2"
        )
    names: dict[int, tuple[str, str | None]] = {}
    void: set[int] = set()
    for key, value in labels.items():
        # Version 1 had the number as the key.
        earlier = isinstance(value, str) and whole_number(value) is None
        name, number = (value, key) if earlier else (key, value)
        found = whole_number(number)
        if found is None:
            raise InputError(
                f"{folder / 'dataset.json'}: expected a number for label {shortened(name, 40)}, "
                f"got {shortened(number, 40)}; regions of several labels are not read"
            )
        if name == "ignore":
            void.add(found)
        elif found > 0 and found < VOID:
            names[found] = (shortened(name), shortened(name))
    paths = images_in(folder / "labelsTr")
    if not paths:
        ending = shortened(content.get("file_ending", "unknown"), 20)
        raise InputError(
            f"{folder / 'labelsTr'}: contains no PNG or TIFF (file_ending {ending}), expected "
            "label maps of frames; convert them to PNG"
        )
    stack = read_stack(paths, origin)
    own = content.get("vostrack")
    frames = _own_frames(own, stack) if isinstance(own, dict) else stack.frames
    ids = _own_ids(own, names) if isinstance(own, dict) else None
    names = {n: entry for n, entry in names.items() if n not in void}
    if ids is None:
        return LabelStack(stack.size, frames, stack.read, frozenset(void), names)
    table = ids

    def read_own(position: int) -> Any:
        values = stack.read(position)
        return table[np.clip(values, 0, len(table) - 1)]

    renamed = {int(table[n]): entry for n, entry in names.items()}
    return LabelStack(stack.size, frames, read_own, frozenset({VOID}), renamed)


def _own_frames(own: dict[str, Any], stack: LabelStack) -> tuple[MaskFrame, ...]:
    numbers, names = own.get("frame_numbers"), own.get("frame_names")
    count = len(stack.frames)
    if not (isinstance(numbers, list) and isinstance(names, list)):
        return stack.frames
    if len(numbers) != count or len(names) != count or not all(type(n) is int for n in numbers):
        return stack.frames
    return tuple(
        MaskFrame(number, str(name), None, str(name) != f"{number:05d}")
        for number, name in zip(numbers, names, strict=True)
    )


def _own_ids(own: dict[str, Any], names: dict[int, Any]) -> Any:
    """Return the table from labels to object ids, from what a writer of ours noted."""
    ids = own.get("ids")
    if not isinstance(ids, list) or sorted(names) != list(range(1, len(ids) + 1)):
        return None
    if not all(type(n) is int and 0 < n < VOID for n in ids) or len(set(ids)) != len(ids):
        return None
    return np.array([0, *ids, VOID], dtype=np.int64)


def write(masks: VideoMasks, output: Path) -> tuple[str, ...]:
    """Write ``dataset.json`` and a label map for each frame. Pictures are not written."""
    table = np.zeros(256, np.uint8)
    labels: dict[str, int] = {"background": 0}
    for number, entry in enumerate(masks.objects, start=1):
        table[entry.id] = number
        name = entry.name if entry.name not in (*labels, "ignore") else f"{entry.name} {entry.id}"
        labels[name if name not in (*labels, "ignore") else f"object {entry.id}"] = number
    table[VOID] = len(masks.objects) + 1
    case = Path(masks.video).stem or "video"
    void = False
    for position, frame in enumerate(masks.frames):
        values = masks.labels(position)
        void = void or bool((values == VOID).any())
        # nnU-Net reads a PNG with a palette as three channels of colour.
        with atomic_path(output / "labelsTr" / f"{case}_{frame.name}.png") as temporary:
            Image.fromarray(table[values]).save(temporary, format="PNG")
    if void:
        labels["ignore"] = len(masks.objects) + 1
    content = {
        "name": case,
        "channel_names": {"0": "R", "1": "G", "2": "B"},
        "labels": labels,
        "numTraining": len(masks.frames),
        "file_ending": ".png",
        "overwrite_image_reader_writer": "NaturalImage2DIO",
        "vostrack": {
            "ids": [entry.id for entry in masks.objects],
            "frame_numbers": [frame.number for frame in masks.frames],
            "frame_names": [frame.name for frame in masks.frames],
        },
    }
    write_json(output / "dataset.json", json.loads(json.dumps(content)))
    others = [
        f"the pictures: add them as imagesTr/{case}_{masks.frames[0].name}_0000.png and so on"
    ]
    return losses(masks, others=others)
