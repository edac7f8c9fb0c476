"""Boxes with scores and classes: their checks, their file, clipping and suppression."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vostrack.arrays import BoolArray, FloatArray, IntArray, UInt8Array
from vostrack.errors import InputError
from vostrack.files import parse_json

__all__ = [
    "VOC_CLASSES",
    "Detections",
    "Detector",
    "box_overlaps",
    "clip_detections",
    "read_detections",
    "select_detections",
]

VOC_CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
"""Names of the PASCAL VOC classes; the index is the label."""


@dataclass(frozen=True)
class Detections:
    """D boxes of one image.

    Attributes:
        boxes: (D, 4) float32, x0, y0, x1, y1 in pixels, the end exclusive.
        scores: (D,) float32 in [0, 1].
        labels: (D,) int64 class ids; 0 where no class is known.
    """

    boxes: FloatArray
    scores: FloatArray
    labels: IntArray

    def __post_init__(self) -> None:
        """Check shapes and ranges.

        Raises:
            InputError: shapes do not fit one another, a value is not finite, a score lies outside
                [0, 1], or a label is negative.
        """
        count = len(self.scores)
        shapes = (self.boxes.shape, self.scores.shape, self.labels.shape)
        if shapes != ((count, 4), (count,), (count,)):
            raise InputError(
                "detections: expected boxes (D, 4), scores (D,) and labels (D,), got "
                + ", ".join(str(shape) for shape in shapes)
            )
        if not np.isfinite(self.boxes).all():
            raise InputError("detections: boxes must be finite, got NaN or infinity")
        outside = ~((self.scores >= 0) & (self.scores <= 1))
        if outside.any():
            raise InputError(
                f"detections: scores must be in [0, 1], got {self.scores[outside][0]}; "
                "pass logits through a sigmoid first"
            )
        if (self.labels < 0).any():
            raise InputError(f"detections: labels must be >= 0, got {self.labels.min()}")

    def __len__(self) -> int:
        """Return D, the number of boxes."""
        return len(self.scores)

    def __getitem__(self, index: IntArray | BoolArray | slice) -> Detections:
        """Select or reorder boxes."""
        return Detections(self.boxes[index], self.scores[index], self.labels[index])

    def __add__(self, other: Detections) -> Detections:
        """Put other boxes of the same image behind these."""
        return Detections(
            np.concatenate([self.boxes, other.boxes]),
            np.concatenate([self.scores, other.scores]),
            np.concatenate([self.labels, other.labels]),
        )

    @classmethod
    def from_lists(cls, boxes: Any, scores: Any, labels: Any) -> Detections:
        """Convert lists or other arrays; empty lists are fine.

        Raises:
            InputError: the values are not numbers of those shapes, or out of range.
        """
        try:
            return cls(
                np.asarray(boxes, dtype=np.float32).reshape(-1, 4),
                np.asarray(scores, dtype=np.float32),
                np.asarray(labels, dtype=np.int64),
            )
        except (TypeError, OverflowError) as error:
            raise InputError(f"detections: expected numbers ({error})") from None
        except InputError:
            raise
        except ValueError as error:
            raise InputError(
                f"detections: expected four numbers, one score and one label per box ({error})"
            ) from None


Detector = Callable[[UInt8Array], Detections]
"""Finds boxes in a frame (H, W, 3) uint8 RGB."""


def clip_detections(detections: Detections, height: int, width: int) -> Detections:
    """Cut boxes to the image; those that keep no area are dropped.

    Args:
        detections: in pixels of the image.
        height: H.
        width: W.
    """
    limits = np.array([width, height, width, height], dtype=np.float32)
    boxes = np.clip(detections.boxes, 0, limits)
    clipped = Detections(boxes, detections.scores, detections.labels)
    return clipped[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])]


def select_detections(
    detections: Detections, min_score: float, max_overlap: float, max_count: int
) -> Detections:
    """Keep confident boxes, best first, without duplicates of the same class.

    Args:
        detections: in any order.
        min_score: lowest score kept, in [0, 1].
        max_overlap: a box is dropped when its intersection over union with a better box of its
            class exceeds this, in [0, 1].
        max_count: highest number of boxes kept.
    """
    order = np.argsort(-detections.scores, kind="stable")
    order = order[detections.scores[order] >= min_score]
    kept: list[int] = []
    for index in order.tolist():
        if len(kept) == max_count:
            break
        rivals = [k for k in kept if detections.labels[k] == detections.labels[index]]
        overlaps = box_overlaps(detections.boxes[index], detections.boxes[rivals])
        if not (overlaps > max_overlap).any():
            kept.append(index)
    return detections[np.array(kept, dtype=np.int64)]


def box_overlaps(box: FloatArray, boxes: FloatArray) -> FloatArray:
    """Intersection over union of one box (4,) with others (K, 4)."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    union = np.prod(box[2:] - box[:2]) + areas - common
    return np.asarray(common / np.maximum(union, 1e-9), dtype=np.float32)


def read_detections(path: str | os.PathLike[str]) -> dict[str, Detections]:
    """Read the boxes of many images from JSON.

    The file is ``{"images": {NAME: [{"box": [x0, y0, x1, y1], "score": s, "label": l}, ...]}}``,
    NAME an image's file name without its suffix (a video's frame: its number, five digits); boxes
    in pixels, the end exclusive; other keys are ignored.

    Raises:
        InputError: there is no such file, it is not JSON, or not of that form.
    """
    path = Path(path)
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"detections: {path} cannot be read as JSON ({error})") from None
    images = content.get("images") if isinstance(content, dict) else None
    if not isinstance(images, dict):
        raise InputError(
            f'detections: {path} is not of the form {{"images": {{NAME: [{{"box": [x0, y0, x1, '
            'y1], "score": s, "label": l}]}}'
        )
    return {str(name): _image_detections(path, name, entries) for name, entries in images.items()}


def _image_detections(path: Path, name: str, entries: Any) -> Detections:
    try:
        rows = [_row(entry) for entry in entries]
        boxes, scores, labels = zip(*rows, strict=True) if rows else ((), (), ())
        return Detections.from_lists(boxes, scores, labels)
    except InputError as error:
        raise InputError(f"{path}, image {name}: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}, image {name}: expected a list of objects with box, score and label, "
            f"got {type(error).__name__}: {error}"
        ) from None


def _row(entry: Mapping[str, Any]) -> tuple[list[float], float, int]:
    box = [float(value) for value in entry["box"]]
    if len(box) != 4:
        raise InputError(f"detections: expected a box of four numbers, got {len(box)}")
    return box, float(entry["score"]), int(entry["label"])
