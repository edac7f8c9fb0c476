"""``masks.json``: the run-length masks of a whole video in one file.

The layout is that of YouTube-VOS instance annotations, with one entry an object and one mask a
frame, null where the object is not seen::

    {"info": {...}, "size": [H, W], "frames": [0, 1, ...],
     "objects": [{"id": 1, "name": "left", "segmentations": [{"size": [H, W], "counts": "..."},
                                                              null, ...]}, ...]}

``frames`` holds the source's frame numbers, in the order of ``segmentations``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.files import atomic_path
from vostrack.masks.palette import VOID
from vostrack.masks.rle import decode_rle, encode_rle

__all__ = [
    "MasksJson",
    "MasksJsonWriter",
    "RleTrack",
    "load_json",
    "read_masks_json",
    "write_masks_json",
]


@dataclass(frozen=True)
class RleTrack:
    """One object through the video.

    Attributes:
        id: 1..254.
        name: what the user calls it.
        segmentations: RLE of each frame, None where it is not seen.
    """

    id: int
    name: str
    segmentations: tuple[Mapping[str, Any] | None, ...]


@dataclass(frozen=True)
class MasksJson:
    """The masks of a whole video, still encoded.

    Attributes:
        size: H and W.
        frames: the T frame numbers of the source.
        objects: in the order of the file.
        info: whatever the writer noted.
    """

    size: tuple[int, int]
    frames: tuple[int, ...]
    objects: tuple[RleTrack, ...]
    info: Mapping[str, Any] = field(default_factory=dict)

    def labels(self, position: int) -> UInt8Array:
        """Decode one frame.

        Args:
            position: place in ``frames``, from 0.

        Returns:
            (H, W) uint8 ids, 0 background; where masks overlap the later object wins.

        Raises:
            InputError: a mask is damaged, or is not of the file's size.
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
                    f"is of size {mask.shape}, expected {self.size}; write the file again"
                )
            labels[mask] = track.id
        return labels


class MasksJsonWriter:
    """Collects the frames of a video as they come; only encoded masks are held.

    Args:
        ids: the objects' ids in 1..254, distinct.
        size: H and W.
        names: names of some or all ids; the number otherwise.
        info: what to note in the file, as ``json`` can write it.

    Raises:
        InputError: ids that a label map cannot hold.
    """

    def __init__(
        self,
        ids: Sequence[int],
        size: tuple[int, int],
        *,
        names: Mapping[int, str] | None = None,
        info: Mapping[str, Any] | None = None,
    ) -> None:
        if len(set(ids)) != len(ids) or not all(0 < n < VOID for n in ids):
            raise InputError(f"ids: expected distinct ids in 1..254, got {list(ids)}")
        self._size = size
        self._names = {n: (names or {}).get(n, str(n)) for n in ids}
        self._info = dict(info or {})
        self._frames: list[int] = []
        self._tracks: dict[int, list[dict[str, Any] | None]] = {n: [] for n in ids}

    def add(self, index: int, labels: UInt8Array) -> None:
        """Encode the next frame.

        Args:
            index: the source's frame number.
            labels: (H, W) uint8 ids; 0 and 255 belong to no object.

        Raises:
            InputError: another size, or an id that was not announced.
        """
        if labels.shape != self._size or labels.dtype != np.uint8:
            raise InputError(
                f"labels of frame {index}: expected uint8 of shape {self._size}, "
                f"got {labels.dtype} of shape {labels.shape}"
            )
        areas = np.bincount(labels.ravel(), minlength=256)
        unknown = [n for n in range(1, VOID) if areas[n] and n not in self._tracks]
        if unknown:
            raise InputError(
                f"labels of frame {index}: ids {unknown} are not among {list(self._tracks)}; "
                "announce every object when the file is begun"
            )
        for n, track in self._tracks.items():
            track.append(encode_rle(labels == n) if areas[n] else None)
        self._frames.append(index)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what was collected so far, atomically; more frames may follow."""
        objects = [
            {"id": n, "name": self._names[n], "segmentations": track}
            for n, track in self._tracks.items()
        ]
        content = {
            "info": self._info,
            "size": list(self._size),
            "frames": self._frames,
            "objects": objects,
        }
        with atomic_path(path) as temporary:
            text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
            temporary.write_text(text + "\n", encoding="utf-8")


def write_masks_json(
    path: str | os.PathLike[str],
    frames: Iterable[tuple[int, UInt8Array]],
    ids: Sequence[int],
    size: tuple[int, int],
    *,
    names: Mapping[int, str] | None = None,
    info: Mapping[str, Any] | None = None,
) -> None:
    """Write the label maps of a video, atomically, holding one of them at a time.

    Args:
        path: the file to write; missing parent folders are created.
        frames: source frame numbers with their label maps (H, W) uint8.
        ids: the objects' ids in 1..254, distinct.
        size: H and W.
        names: names of some or all ids; the number otherwise.
        info: what to note in the file, as ``json`` can write it.

    Raises:
        InputError: a label map of another size, or an id that is not in ``ids``.
    """
    writer = MasksJsonWriter(ids, size, names=names, info=info)
    for index, labels in frames:
        writer.add(index, labels)
    writer.save(path)


def read_masks_json(path: str | os.PathLike[str]) -> MasksJson:
    """Read a ``masks.json``; masks are decoded on demand.

    Raises:
        InputError: missing, broken, or another kind of JSON.
    """
    return parse_masks_json(load_json(Path(path)), str(Path(path)))


def load_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: it is missing or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}), expected masks as JSON; check the path"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: is broken JSON ({error}), expected COCO RLE masks; export the masks again"
        ) from error


def parse_masks_json(content: Any, origin: str) -> MasksJson:
    """Check the layout of a parsed ``masks.json``.

    Args:
        content: what ``json`` read.
        origin: what to call it in messages.

    Raises:
        InputError: a field is missing or of another kind.
    """
    try:
        height, width = (int(n) for n in content["size"])
        frames = tuple(int(n) for n in content["frames"])
        objects = tuple(
            RleTrack(int(o["id"]), str(o.get("name", o["id"])), tuple(o["segmentations"]))
            for o in content["objects"]
        )
        info = dict(content.get("info", {}))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{origin}: expected the layout of masks.json (size, frames, objects with id and "
            f"segmentations), {type(error).__name__} at {error}; write the file again"
        ) from error
    for track in objects:
        whole = all(s is None or isinstance(s, dict) for s in track.segmentations)
        if len(track.segmentations) != len(frames) or not whole or not 0 < track.id < VOID:
            raise InputError(
                f"{origin}: object {track.id} has {len(track.segmentations)} masks, expected an "
                f"id of 1..254 and RLE or null for each of {len(frames)} frames; write the file "
                "again"
            )
    return MasksJson((height, width), frames, objects, info)
