"""Reading the folder that ``vostrack track`` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vostrack.arrays import IntArray, UInt8Array
from vostrack.errors import InputError
from vostrack.file_order import in_natural_order
from vostrack.files import expand_home, parse_json, real_path
from vostrack.masks.formats.label_stack import LabelStack
from vostrack.masks.palette import read_label_map
from vostrack.masks.picture_names import file_or_none, position_or_none
from vostrack.masks.video_masks import MaskFrame, MaskObject, VideoMasks, class_of

__all__ = ["is_results_folder", "read_folder", "read_stack"]


def is_results_folder(path: Path) -> bool:
    """Tell whether a folder has the layout of ``vostrack track``."""
    return (path / "run.json").is_file() and (path / "masks").is_dir()


def read_folder(path: Path) -> VideoMasks:
    """Read a results folder. Its label maps are the files in ``masks``.

    Raises:
        InputError: ``run.json`` is missing or damaged, the run has not ended, or there is no mask.
    """
    record = _run_record(path)
    if record.get("status") == "running":
        raise InputError(
            f"{path}: the run that writes it is still running, or was killed; expected one that "
            "ended: wait for it, or finish it with `vostrack track` and --resume"
        )
    files = in_natural_order((path / "masks").glob("*.png"))
    if not files:
        raise InputError(
            f"{path}: the folder masks contains no PNG, expected the masks of a run; check the path"
        )
    try:
        frames = _frames([p.stem for p in files], record)
        objects = tuple(
            MaskObject(int(o["id"]), str(o["name"]), class_of(str(o["name"]), int(o["id"])))
            for o in record["objects"]
        )
        settings = record.get("settings", {})
        video, rate = Path(str(settings.get("video", ""))).name, record.get("frame_rate")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(path, error) from error
    size = read_label_map(files[0]).shape
    if len(size) != 2:
        raise _damaged(path, f"a mask has shape {size}")

    def read(position: int) -> UInt8Array:
        labels = read_label_map(files[position])
        if labels.shape != size:
            raise InputError(
                f"{files[position]}: the mask has shape {labels.shape}, expected {size} as in "
                f"{files[0]}; track the video again"
            )
        return labels

    rate = float(rate) if isinstance(rate, int | float) and rate > 0 else None
    return VideoMasks((size[0], size[1]), frames, objects, read, video, rate, path)


def inputs_of(folder: Path | None) -> set[Path]:
    """Return the files and folders that a run read: its video and its masks, without links."""
    try:
        settings = _run_record(folder)["settings"] if folder is not None else {}
        named = [settings.get("video"), *settings.get("first_mask", ())]
    except (InputError, KeyError, TypeError, AttributeError):
        return set()
    texts = [name for name in named if isinstance(name, str)]
    # A mask may have the number of its frame before it: 40=mask.png.
    paths = [expand_home(t) for t in (*texts, *(text.partition("=")[2] for text in texts)) if t]
    return {real_path(path) for path in paths if path.exists()}


def read_stack(path: Path) -> LabelStack:
    """Read a results folder as label maps, from which a first mask is chosen."""
    masks = read_folder(path)
    names = {entry.id: (entry.name, entry.category) for entry in masks.objects}

    def read(position: int) -> IntArray:
        return masks.labels(position).astype(np.int64)

    return LabelStack(masks.size, masks.frames, read, names=names, source=masks.video)


def _frames(stems: list[str], record: dict[str, Any]) -> tuple[MaskFrame, ...]:
    """Return the frames of a folder, with what ``run.json`` states of them."""
    times = record.get("frame_times")
    if not isinstance(times, list) or len(times) != len(stems):
        times = [None] * len(stems)
    named, files = record.get("frame_names") is not None, _stated(record, "frame_files")
    positions = _stated(record, "frame_positions")
    return tuple(
        MaskFrame(
            int(stem) if stem.isdecimal() else k,
            stem,
            None if t is None else float(t),
            named,
            file_or_none(files.get(stem)),
            position_or_none(positions.get(stem)),
        )
        for k, (stem, t) in enumerate(zip(stems, times, strict=True))
    )


def _stated(record: dict[str, Any], key: str) -> dict[str, Any]:
    """Return what ``run.json`` states of each frame by its name; older runs state less."""
    names, values = record.get("frame_names"), record.get(key)
    if not (isinstance(names, list) and isinstance(values, list) and len(names) == len(values)):
        return {}
    return dict(zip(names, values, strict=True))


def _run_record(path: Path) -> dict[str, Any]:
    try:
        record = parse_json((path / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error
    if not isinstance(record, dict):
        raise _damaged(path, f"it contains {type(record).__name__}")
    return record


def _damaged(path: Path, error: object) -> InputError:
    return InputError(
        f"{path / 'run.json'}: cannot be read as the record of a run ({str(error)[:80]}); "
        "expected the folder that vostrack track wrote; track the video again"
    )
