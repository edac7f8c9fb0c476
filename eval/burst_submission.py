"""Results for BURST: one JSON file in the form of its annotations."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from vostrack.datasets.burst import burst_file, burst_name, read_burst
from vostrack.datasets.metadata import object_id
from vostrack.datasets.video_sequence import chosen_names
from vostrack.errors import InputError
from vostrack.files import atomic_path
from vostrack.masks.palette import VOID, read_label_map
from vostrack.masks.rle import encode_rle

__all__ = ["write_burst_submission"]


def write_burst_submission(
    results_dir: str | Path,
    root: str | Path,
    subset: str,
    path: str | Path,
    sequences: Iterable[str] | None = None,
) -> int:
    """Write the results of a subset as the file that the benchmark's tool scores.

    The masks of the annotated frames are taken; those of frames in between are not scored. An
    object that is not in a frame has no entry there, as the tool wants it.

    Args:
        results_dir: folder of ``DATASET-VIDEO/FRAME.png``.
        root: folder of the data set.
        subset: val or test.
        path: the JSON file to write.
        sequences: only these.

    Returns:
        The number of videos.

    Raises:
        InputError: a mask is missing, or has another size or ids that are no tracks.
    """
    source = burst_file(Path(root), subset)
    data = read_burst(source)
    videos = {burst_name(video): video for video in data["sequences"]}
    names = chosen_names(list(videos), sequences, f"BURST {subset}")
    data["sequences"] = [videos[name] for name in names]
    for name in names:
        video = videos[name]
        size = (video["height"], video["width"])
        place = f"{source}: {name}"
        tracks = {object_id(key, place) for frame in video["segmentations"] for key in frame}
        if not tracks:
            raise InputError(f"{place}: no annotated object; download the file again")
        first = next(i for i, frame in enumerate(video["segmentations"]) if frame)
        found: list[dict[str, dict[str, str]]] = []
        for index, image in enumerate(video["annotated_image_paths"]):
            if index < first:
                found.append({})
                continue
            mask = Path(results_dir) / name / f"{Path(image).stem}.png"
            found.append(_entries(mask, size, tracks))
        video["segmentations"] = found
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(data), encoding="utf-8")
    return len(names)


def _entries(path: Path, size: tuple[int, int], tracks: set[int]) -> dict[str, dict[str, str]]:
    labels = read_label_map(path)
    if labels.shape != size:
        raise InputError(
            f"{path}: expected {size[1]}x{size[0]} pixels, got {labels.shape[1]}x{labels.shape[0]}"
        )
    used = set(np.unique(labels).tolist()) - {0}
    if used - tracks:
        hint = " (void)" if VOID in used else ""
        raise InputError(
            f"{path}: expected the video's track ids {sorted(tracks)}, got "
            f"{sorted(used - tracks)}{hint}"
        )
    return {str(number): {"rle": encode_rle(labels == number)["counts"]} for number in sorted(used)}
