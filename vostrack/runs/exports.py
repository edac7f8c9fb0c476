"""The masks of a run in the formats of other tools: the folder ``exports``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.files import atomic_path
from vostrack.masks import (
    Alpha,
    MaskFrame,
    MaskObject,
    VideoMasks,
    export_results,
    read_label_map,
)
from vostrack.masks.formats.registry import find_format
from vostrack.masks.video_masks import class_of
from vostrack.runs.folder import ClipFolder
from vostrack.runs.ownership import LISTING
from vostrack.runs.record import RunRecord
from vostrack.video import FrameNames

__all__ = ["clip_masks", "mask_frame", "write_exports"]

_log = logging.getLogger("vostrack")


def clip_masks(
    record: RunRecord, folder: ClipFolder, frames: Sequence[dict[str, Any]]
) -> VideoMasks:
    """Return the masks of the finished frames of a run.

    Args:
        record: of the run.
        folder: that the run writes to.
        frames: the record of each finished frame, from ``ClipFolder.frames``.
    """
    names, mask = record.names, record.given.mask
    indices = [entry["index"] for entry in frames]

    def read(position: int) -> UInt8Array:
        return read_label_map(folder.mask(indices[position]))

    return VideoMasks(
        record.source.size,
        tuple(
            mask_frame(names, index, entry["time"])
            for index, entry in zip(indices, frames, strict=True)
        ),
        tuple(
            MaskObject(n, name, class_of(name, n))
            for n, name in zip(mask.ids, mask.names, strict=True)
        ),
        read,
        Path(record.source.name).name,
        record.source.frame_rate,
        folder.root,
    )


def mask_frame(names: FrameNames, index: int, time: float) -> MaskFrame:
    """Return what a frame of the video is called in files.

    Args:
        names: of the frames of the video.
        index: where the frame is in the video, from 0.
        time: of the frame, in seconds.
    """
    return MaskFrame(
        index if names.numbers is None else names.numbers[index],
        names.name(index),
        time,
        names.names is not None,
        None if names.files is None else names.files[index],
        None if names.names is None else index,
    )


def write_exports(
    masks: VideoMasks,
    formats: Sequence[str],
    folder: Path,
    tell: Callable[[str], None],
    alpha: Alpha = "straight",
) -> None:
    """Write the masks in other formats, and log what is lost.

    Args:
        masks: the masks.
        formats: the names of the formats.
        folder: where to write; the file ``.written`` in it lists what was written.
        tell: is told what is being written.
        alpha: the colours of formats that may have them times alpha.

    A format that cannot hold the masks is logged as an error; the others are written.
    """
    written: list[str] = []
    for name in formats:
        wanted = find_format(name)
        target = folder / f"{wanted.name}{wanted.suffix}"
        tell(f"exports/{target.name}")
        if not target.exists() and wanted.suffix:
            _list(folder, [*written, target.name])
        try:
            kind = alpha if wanted.premultiplies else "straight"
            for note in export_results(masks, wanted.name, target, overwrite=True, alpha=kind):
                _log.warning("%s: %s", wanted.name, note)
        except InputError as error:
            # The masks are there all the same, and can be converted later.
            _log.error("export %s failed: %s", wanted.name, error)
            continue
        files = [target] if wanted.suffix else sorted(p for p in target.rglob("*") if p.is_file())
        written += [path.relative_to(folder).as_posix() for path in files]
        _list(folder, written)


def _list(folder: Path, names: Sequence[str]) -> None:
    with atomic_path(folder / LISTING) as temporary:
        temporary.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
