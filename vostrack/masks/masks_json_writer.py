"""Writing COCO files of a whole video, ``masks.json`` among them.

A file has an image for each frame and an annotation for each object in each frame where it is
visible. ``pycocotools.coco.COCO`` loads it::

    {"info": {"size": [H, W], "objects": [{"id": 1, "name": "left"}], ...},
     "images": [{"id": 1, "file_name": "00000.png", "height": H, "width": W,
                 "frame_index": 0, "time": 0.0}, ...],
     "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "track_id": 1, "name": "left",
                      "segmentation": {"size": [H, W], "counts": "..."}, "area": 120,
                      "bbox": [x, y, width, height], "iscrowd": 0}, ...],
     "categories": [{"id": 1, "name": "left", "supercategory": ""}]}

``frame_index`` is the source's frame number. Frames with names of their own have a ``position``,
too, which counts from 0. ``track_id`` is the object id of the label maps.
``info`` lists the objects that are never visible, too. Void pixels are crowds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from vostrack.arrays import BoolArray, UInt8Array
from vostrack.errors import InputError
from vostrack.files import atomic_path
from vostrack.masks.palette import VOID
from vostrack.masks.rle import encode_rle
from vostrack.masks.video_masks import MaskFrame, class_of, file_name

__all__ = ["MasksJsonWriter", "annotation", "write_masks_json"]


class MasksJsonWriter:
    """Collects the masks of a video frame by frame. Only encoded masks are kept in memory.

    Args:
        ids: distinct object ids in 1..254.
        size: H and W, in pixels.
        names: names of the objects, by id; by default the id.
        categories: names of the objects' classes, by id; by default their names.
        info: further information for the file, as ``json`` can write it.

    Raises:
        InputError: an id is repeated or outside 1..254.
    """

    def __init__(
        self,
        ids: Sequence[int],
        size: tuple[int, int],
        *,
        names: Mapping[int, str] | None = None,
        categories: Mapping[int, str] | None = None,
        info: Mapping[str, Any] | None = None,
    ) -> None:
        if len(set(ids)) != len(ids) or not all(0 < n < VOID for n in ids):
            raise InputError(f"ids: expected distinct ids in 1..254, got {list(ids)}")
        self._size = size
        self._names = {n: (names or {}).get(n, str(n)) for n in ids}
        given = categories or {}
        self._classes = {n: given.get(n, class_of(name, n)) for n, name in self._names.items()}
        numbers = dict.fromkeys(self._classes.values())
        self._numbers = {name: k for k, name in enumerate(numbers, start=1)}
        self._info = dict(info or {})
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._void = False

    def add(self, index: int, labels: UInt8Array, frame: MaskFrame | None = None) -> None:
        """Encode the next frame.

        Args:
            index: frame number in the source.
            labels: (H, W) uint8 ids; 0 belongs to no object, and 255 is void.
            frame: name and time of the frame, if known.

        Raises:
            InputError: the size differs, or an id was not passed to the constructor.
        """
        if labels.shape != self._size or labels.dtype != np.uint8:
            raise InputError(
                f"labels of frame {index}: expected uint8 of shape {self._size}, "
                f"got {labels.dtype} of shape {labels.shape}"
            )
        areas = np.bincount(labels.ravel(), minlength=256)
        unknown = [n for n in range(1, VOID) if areas[n] and n not in self._names]
        if unknown:
            raise InputError(
                f"labels of frame {index}: ids {unknown} are not among {list(self._names)}; "
                "pass all ids to the writer"
            )
        frame = frame or MaskFrame(index, f"{index:05d}")
        image = {"id": len(self._images) + 1, "file_name": file_name(frame)}
        image |= {"width": self._size[1], "height": self._size[0], "frame_index": index}
        image |= {} if frame.position is None else {"position": frame.position}
        self._images.append(image if frame.time is None else {**image, "time": frame.time})
        for n, name in self._names.items():
            if areas[n]:
                self._annotate(self._numbers[self._classes[n]], labels == n, track_id=n, name=name)
        if areas[VOID]:
            self._void = True
            self._annotate(len(self._numbers) + 1, labels == VOID, iscrowd=1)

    def _annotate(self, category: int, mask: BoolArray, **fields: Any) -> None:
        made = {"id": len(self._annotations) + 1, "image_id": len(self._images)}
        made |= {"category_id": category, "iscrowd": 0, **fields, **annotation(mask)}
        self._annotations.append(made)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the frames collected so far, atomically. More frames may follow."""
        names = [*self._numbers, *(["void"] if self._void else [])]
        objects = [
            {"id": n, "name": name, "category": self._classes[n]} for n, name in self._names.items()
        ]
        content = {
            "info": {**self._info, "size": list(self._size), "objects": objects},
            "licenses": [],
            "images": self._images,
            "annotations": self._annotations,
            "categories": [
                {"id": k, "name": name, "supercategory": ""}
                for k, name in enumerate(names, start=1)
            ],
        }
        with atomic_path(path) as temporary:
            text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
            temporary.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def annotation(mask: BoolArray) -> dict[str, Any]:
    """Return what COCO states about a mask: compressed RLE, area and box (x, y, width, height).

    Args:
        mask: (H, W) bool, not empty.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, top = int(columns[0]), int(rows[0])
    return {
        "segmentation": encode_rle(mask),
        "area": int(np.count_nonzero(mask)),
        "bbox": [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1],
    }


def write_masks_json(
    path: str | os.PathLike[str],
    frames: Iterable[tuple[int, UInt8Array]],
    ids: Sequence[int],
    size: tuple[int, int],
    *,
    names: Mapping[int, str] | None = None,
    info: Mapping[str, Any] | None = None,
) -> None:
    """Write the label maps of a video, atomically. Only one of them is in memory at a time.

    Args:
        path: the file to write; missing parent folders are created.
        frames: frame numbers of the source with their label maps (H, W) uint8.
        ids: distinct object ids in 1..254.
        size: H and W, in pixels.
        names: names of the objects, by id; by default the id.
        info: further information for the file, as ``json`` can write it.

    Raises:
        InputError: a label map has another size or an id that is not in ``ids``.
    """
    writer = MasksJsonWriter(ids, size, names=names, info=info)
    for index, labels in frames:
        writer.add(index, labels)
    writer.save(path)
