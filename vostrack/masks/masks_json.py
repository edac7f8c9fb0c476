"""``masks.json``: the run-length encoded (RLE) masks of a whole video in one file.

The layout is that of YouTube-VOS instance annotations: one entry per object and one mask per
frame, null if the object is not visible::

    {"info": {...}, "size": [H, W], "frames": [0, 1, ...],
     "objects": [{"id": 1, "name": "left", "segmentations": [{"size": [H, W], "counts": "..."},
                                                              null, ...]}, ...]}

``frames`` contains the source's frame numbers, in the order of ``segmentations``.
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
from vostrack.files import atomic_path, check_regular
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


class MasksJsonWriter:
    """Collects the masks of a video frame by frame. Only encoded masks are kept in memory.

    Args:
        ids: distinct object ids in 1..254.
        size: H and W, in pixels.
        names: names of the objects, by id; by default the id.
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
            index: frame number in the source.
            labels: (H, W) uint8 ids; 0 and 255 belong to no object.

        Raises:
            InputError: the size differs, or an id was not passed to the constructor.
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
                "pass all ids to the writer"
            )
        for n, track in self._tracks.items():
            track.append(encode_rle(labels == n) if areas[n] else None)
        self._frames.append(index)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the frames collected so far, atomically. More frames may follow."""
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
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}), expected masks as JSON; check the path"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: invalid JSON ({error}), expected COCO RLE masks; export the masks again"
        ) from error


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
    try:
        height, width = (int(n) for n in content["size"])
        frames = tuple(int(n) for n in content["frames"])
        objects = tuple(
            RleTrack(int(o["id"]), str(o.get("name", o["id"])), tuple(o["segmentations"]))
            for o in content["objects"]
        )
        info = dict(content.get("info", {}))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(
            f"{origin}: expected the layout of masks.json (size, frames, objects with id and "
            f"segmentations), got {type(error).__name__} at {str(error)[:80]}; write the file again"
        ) from error
    for track in objects:
        whole = all(s is None or isinstance(s, dict) for s in track.segmentations)
        if len(track.segmentations) != len(frames) or not whole or not 0 < track.id < VOID:
            raise InputError(
                f"{origin}: object {str(track.id)[:20]} has {len(track.segmentations)} masks, "
                f"expected an id in 1..254 and RLE or null for each of {len(frames)} frames; write "
                "the file again"
            )
    return MasksJson((height, width), frames, objects, info)
