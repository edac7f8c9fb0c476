"""BURST: one JSON file with RLE for each track and frame.

Athar et al., "BURST: A Benchmark for Unifying Object Recognition, Segmentation and Tracking in
Video" (2023); https://github.com/Ali2500/BURST-benchmark
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vostrack.errors import InputError
from vostrack.masks.annotations import (
    AnnotatedFrame,
    Annotations,
    Entry,
    Size,
    check_size,
    number_in,
    shortened,
    whole_number,
)
from vostrack.masks.formats.coco import categories_in
from vostrack.masks.formats.json_file import write_json
from vostrack.masks.formats.losses import losses
from vostrack.masks.palette import VOID
from vostrack.masks.picture_names import numbered_by_pictures
from vostrack.masks.rle import encode_rle, is_empty_rle
from vostrack.masks.video_masks import VideoMasks, file_name, present

__all__ = ["is_layout", "parse", "write"]


def is_layout(content: Mapping[str, Any]) -> bool:
    """Tell whether parsed JSON is a file of BURST."""
    return isinstance(content.get("sequences"), list)


def parse(content: Mapping[str, Any], origin: str) -> Annotations:
    """Read the first sequence of a file.

    Raises:
        InputError: there is none, or it has no segmentations.
    """
    sequences = content["sequences"]
    if not sequences or not isinstance(sequences[0].get("segmentations"), list):
        raise InputError(
            f"{origin}: expected a sequence of BURST with segmentations, got none; give the file "
            "with annotations"
        )
    sequence = sequences[0]
    size = check_size(sequence.get("height"), sequence.get("width"), origin)
    classes, categories = sequence.get("track_category_ids") or {}, categories_in(content)
    names = sequence.get("track_names") or {}
    paths = list(map(str, sequence.get("annotated_image_paths") or []))
    segmentations = sequence["segmentations"]
    if len(paths) != len(segmentations):
        paths = [f"frame {k}" for k in range(len(segmentations))]
    named = [AnnotatedFrame(shortened(path), number_in(path)) for path in paths]
    found = [frame.number for frame in numbered_by_pictures(named)]
    numbers = list(range(len(paths))) if None in found else found
    frames = []
    for path, number, tracks in zip(paths, numbers, segmentations, strict=True):
        entries = []
        for track, coded in tracks.items():
            rle = _rle(coded, size, origin)
            if is_empty_rle(rle):
                continue
            category = _class(classes.get(track), categories)
            name = shortened(names[track]) if track in names else category
            entries.append(Entry(rle, whole_number(track), name, False, str(track), category))
        frames.append(AnnotatedFrame(shortened(path), number, tuple(entries), size))
    notes: tuple[str, ...] = ()
    if len(sequences) > 1:
        name = shortened(sequence.get("seq_name"))
        notes = (f"{origin}: contains several sequences; the first one, {name}, is used",)
    return Annotations(
        tuple(frames), video=True, notes=notes, source=shortened(sequence.get("seq_name") or "")
    )


def _class(number: Any, categories: Mapping[str, str]) -> str | None:
    return None if number is None else categories.get(str(number), f"class {shortened(number, 20)}")


def _rle(coded: Any, size: Size | None, origin: str) -> dict[str, Any]:
    counts = coded.get("rle") if isinstance(coded, dict) else coded
    if isinstance(counts, dict):
        return counts
    if size is None or not isinstance(counts, (str, list)):
        raise InputError(
            f"{origin}: expected a sequence with height and width and RLE for each track, got "
            f"{shortened(coded, 40)}; export the masks again"
        )
    return {"size": list(size), "counts": counts}


def write(masks: VideoMasks, output: Path) -> tuple[str, ...]:
    """Write a file with one sequence. BURST has no void."""
    classes = list(masks.categories)
    segmentations: list[dict[str, Any]] = []
    void = 0
    for position in range(len(masks.frames)):
        labels = masks.labels(position)
        void += int((labels == VOID).sum())
        segmentations.append(
            {
                str(entry.id): {"rle": encode_rle(mask)["counts"], "is_gt": False}
                for entry, mask in present(masks, labels)
            }
        )
    paths = [file_name(frame) for frame in masks.frames]
    sequence = {
        "id": 0,
        "dataset": "vostrack",
        "seq_name": masks.video or "video",
        "fps": masks.frame_rate,
        "height": masks.size[0],
        "width": masks.size[1],
        "all_image_paths": paths,
        "annotated_image_paths": paths,
        "neg_category_ids": [],
        "not_exhaustive_category_ids": [],
        "track_category_ids": {str(e.id): classes.index(e.category) + 1 for e in masks.objects},
        "track_names": {str(e.id): e.name for e in masks.objects},
        "segmentations": segmentations,
    }
    categories = [{"id": k, "name": name} for k, name in enumerate(classes, start=1)]
    write_json(output, {"split": "test", "sequences": [sequence], "categories": categories})
    return losses(masks, void=void)
