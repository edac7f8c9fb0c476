"""One small set of videos in the layout of each benchmark; in "goats" the second object is late."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vostrack.arrays import UInt8Array
from vostrack.masks.palette import write_label_map
from vostrack.masks.rle import encode_rle

SIZE = (48, 64)
LENGTH = 6
LATE = 2
NAMES = ("goats", "swan")


def labels_of(name: str, frame: int, seen_from: int = LATE) -> UInt8Array:
    """Return the truth: ids 1 in "swan", 2 and 5 in "goats", 5 from a frame on."""
    labels = np.zeros(SIZE, np.uint8)
    labels[4:18, 4 + 3 * frame : 20 + 3 * frame] = 1 if name == "swan" else 2
    if name == "goats" and frame >= seen_from:
        labels[26:42, 10 + 2 * frame : 28 + 2 * frame] = 5
    return labels


def picture(name: str, frame: int) -> UInt8Array:
    """Return a frame in which each object has a colour."""
    rng = np.random.default_rng(frame)
    image = rng.integers(70, 100, (*SIZE, 3), dtype=np.uint8)
    for number, colour in ((1, (220, 60, 40)), (2, (40, 200, 60)), (5, (50, 80, 230))):
        image[labels_of(name, frame) == number] = colour
    return image


def _write(folder: Path, name: str, stems: list[str], *, dense: bool) -> None:
    for frame, stem in enumerate(stems):
        path = folder / "JPEGImages" / name / f"{stem}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(name, frame)).save(path, quality=95)
        given = frame == 0 or (name == "goats" and frame == LATE)
        if dense or given:
            write_label_map(folder / "Annotations" / name / f"{stem}.png", labels_of(name, frame))


def _objects(name: str) -> dict[int, int]:
    """Return the first frame of each object."""
    return {1: 0} if name == "swan" else {2: 0, 5: LATE}


def make_youtube_vos(root: Path, *, dense: bool = True) -> Path:
    """Write a subset "valid" and the metadata of a training set that knows dogs only."""
    stems = [f"{5 * frame:05}" for frame in range(LENGTH)]
    videos: dict[str, Any] = {}
    for name in NAMES:
        _write(root / "valid", name, stems, dense=dense)
        category = {1: "owl", 2: "dog", 5: "owl"}
        videos[name] = {
            "objects": {
                str(number): {"category": category[number], "frames": stems[start:]}
                for number, start in _objects(name).items()
            }
        }
    (root / "valid" / "meta.json").write_text(json.dumps({"videos": videos}))
    (root / "train").mkdir()
    trained = {"videos": {"x": {"objects": {"1": {"category": "dog", "frames": []}}}}}
    (root / "train" / "meta.json").write_text(json.dumps(trained))
    return root


def make_lvos(root: Path, *, meta: str = "valid_meta.json", subset: str = "val") -> Path:
    """Write a subset with its metadata; frames are numbered 1, 6, 11, ..."""
    stems = [f"{5 * frame + 1:08}" for frame in range(LENGTH)]
    videos: dict[str, Any] = {}
    for name in NAMES:
        _write(root / subset, name, stems, dense=True)
        videos[name] = {
            "objects": {
                str(number): {
                    "frame_range": {
                        "start": stems[start], "end": stems[-1], "frame_nums": LENGTH - start,
                    }
                }
                for number, start in _objects(name).items()
            }
        }  # fmt: skip
    (root / subset / meta).write_text(json.dumps({"videos": videos}))
    (root / "unseen_videos.txt").write_text("swan\n")
    return root


def make_mose(root: Path, *, subset: str = "", dense: bool = True) -> Path:
    """Write frames and masks of a subset, or directly."""
    for name in NAMES:
        stems = [f"{frame:05}" for frame in range(LENGTH)]
        _write(root / subset if subset else root, name, stems, dense=dense)
    return root


def make_burst(root: Path, *, first_only: bool = False) -> Path:
    """Write frames and a JSON file; every second frame is annotated."""
    sequences: list[dict[str, Any]] = []
    for name in NAMES:
        files = [f"frame{frame:04}.jpg" for frame in range(LENGTH)]
        annotated = list(range(0, LENGTH, 2))
        for frame, file in enumerate(files):
            path = root / "frames" / "val" / "YFCC100M" / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture(name, frame)).save(path, quality=95)
        starts = _objects(name)
        entries = [
            {
                str(number): {"rle": encode_rle(labels_of(name, frame) == number)["counts"]}
                for number, start in starts.items()
                if (frame == start if first_only else frame >= start)
            }
            for frame in annotated
        ]
        sequences.append(
            {
                "id": len(sequences) + 1, "seq_name": name, "dataset": "YFCC100M", "fps": 30,
                "width": SIZE[1], "height": SIZE[0], "all_image_paths": files,
                "annotated_image_paths": [files[frame] for frame in annotated],
                "neg_category_ids": [], "not_exhaustive_category_ids": [],
                "track_category_ids": {str(number): number + 3 for number in starts},
                "segmentations": entries,
            }
        )  # fmt: skip
    file = "first_frame_annotations.json" if first_only else "all_classes.json"
    path = root / "annotations" / "val" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"split": "val", "sequences": sequences, "categories": []}))
    return root
