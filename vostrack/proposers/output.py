"""The files of every proposer: a palette PNG per image, and one file of COCO RLE for all."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.errors import InputError
from vostrack.files import atomic_path
from vostrack.masks.palette import VOID, write_label_map
from vostrack.masks.rle import encode_rle
from vostrack.output_folder import make_output_folder
from vostrack.protocols import InstanceProposals

__all__ = ["proposal_label_map", "write_proposals"]


def write_proposals(
    output: str | Path, results: Iterable[tuple[str, InstanceProposals]]
) -> tuple[int, int]:
    """Write ``NAME.png`` for each image, and ``proposals.json`` at the end.

    The JSON is a list of ``{"image", "category_id", "score", "bbox", "segmentation"}``: ``bbox`` is
    x, y, width, height in pixels, ``segmentation`` compressed COCO RLE; images in the order given,
    proposals best first. A proposer that names its classes adds ``"category"``.

    Args:
        output: folder; created where missing.
        results: image names without suffix, each with its proposals; consumed one at a time.

    Returns:
        The number of images and of proposals.

    Raises:
        InputError: two images have the same name, or the folder cannot be made.
    """
    folder = Path(output)
    make_output_folder(folder)
    entries: list[dict[str, Any]] = []
    names: set[str] = set()
    for name, proposals in results:
        if name in names:
            raise InputError(
                f"proposals: two images are called {name}; expected names that differ without "
                "their suffix; rename one of them"
            )
        names.add(name)
        write_label_map(folder / f"{name}.png", proposal_label_map(proposals))
        entries.extend(_entries(name, proposals))
    with atomic_path(folder / "proposals.json") as temporary:
        temporary.write_text(json.dumps(entries) + "\n", encoding="utf-8")
    return len(names), len(entries)


def proposal_label_map(proposals: InstanceProposals) -> UInt8Array:
    """Paint proposals 1..K over one another, the best on top; at most the best 254 of them.

    Returns:
        (H, W) uint8, 0 where there is no proposal.
    """
    labels = np.zeros(proposals.masks.shape[1:], dtype=np.uint8)
    for index in range(min(len(proposals), VOID - 1) - 1, -1, -1):
        labels[proposals.masks[index]] = index + 1
    return labels


def _entries(name: str, proposals: InstanceProposals) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = [
        {
            "image": name,
            "category_id": int(proposals.labels[index]),
            "score": float(proposals.scores[index]),
            "bbox": _coco_box(proposals.boxes[index]),
            "segmentation": encode_rle(proposals.masks[index]),
        }
        for index in range(len(proposals))
    ]
    for entry, category in zip(entries, proposals.names or (), strict=False):
        entry["category"] = category
    return entries


def _coco_box(box: FloatArray) -> list[float]:
    x0, y0, x1, y1 = (float(value) for value in box)
    return [x0, y0, x1 - x0, y1 - y0]
