"""Results for BURST: one JSON file in the form of its annotations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vostrack.datasets.burst import burst_file, burst_name, read_burst
from vostrack.datasets.metadata import object_id
from vostrack.datasets.video_sequence import chosen_names
from vostrack.errors import InputError
from vostrack.eval.findings import listed
from vostrack.eval.submission import check_results_folder
from vostrack.eval.submission_file import WRITER
from vostrack.files import atomic_path, through_link
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
        InputError: masks are missing, all of which are named, or one has another size or ids that
            are no tracks.
    """
    check_results_folder(results_dir)
    source = burst_file(Path(root), subset)
    data = read_burst(source)
    videos = {burst_name(video): video for video in data["sequences"]}
    names = chosen_names(list(videos), sequences, f"BURST {subset}")
    data["sequences"] = [videos[name] for name in names]
    _check_present(Path(results_dir), {name: _scored_frames(videos[name]) for name in names})
    for name in names:
        video = videos[name]
        size = (video["height"], video["width"])
        place = f"{source}: {name}"
        tracks = {object_id(key, place) for frame in video["segmentations"] for key in frame}
        scored = set(_scored_frames(video))
        stems = (Path(image).stem for image in video["annotated_image_paths"])
        video["segmentations"] = [
            _entries(Path(results_dir) / name / f"{stem}.png", size, tracks)
            if stem in scored
            else {}
            for stem in stems
        ]
    data["written_by"] = WRITER
    with atomic_path(through_link(path)) as temporary:
        temporary.write_text(json.dumps(data), encoding="utf-8")
    return len(names)


def _scored_frames(video: Mapping[str, Any]) -> list[str]:
    """Return the names of the annotated frames from the first one with an object on."""
    entries = video["segmentations"]
    first = next((i for i, frame in enumerate(entries) if frame), len(entries))
    return [Path(image).stem for image in video["annotated_image_paths"][first:]]


def _check_present(results: Path, frames: Mapping[str, Sequence[str]]) -> None:
    """Refuse results without a mask of every frame of each video."""
    lines = []
    for name, stems in frames.items():
        gone = [stem for stem in stems if not (results / name / f"{stem}.png").is_file()]
        if gone and len(gone) == len(stems):
            lines.append(f"{name}: expected {len(stems)} masks, found none")
        elif gone:
            masks = listed(f"{stem}.png" for stem in gone)
            lines.append(f"{name}: no mask of {len(gone)} of {len(stems)} frames: {masks}")
    if lines:
        raise InputError(f"results {results}: masks are missing\n" + "\n".join(lines))


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
