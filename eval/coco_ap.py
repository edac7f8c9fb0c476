"""COCO average precision of instance masks, computed by pycocotools."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from vostrack.arrays import BoolArray, DoubleArray
from vostrack.errors import InputError
from vostrack.eval.instances import Instances, InstanceScorer, without_void

__all__ = ["CocoAP", "CocoScores"]


@dataclass(frozen=True)
class CocoScores:
    """The COCO measures, in [0, 1]; NaN if there is no true instance.

    Attributes:
        ap: mean AP over the overlap thresholds 0.50, 0.55, ..., 0.95.
        ap50: AP at overlap threshold 0.5.
        ap75: AP at overlap threshold 0.75.
        per_class: AP of each label with a true instance.
    """

    ap: float
    ap50: float
    ap75: float
    per_class: dict[int, float]


class CocoAP(InstanceScorer):
    """Average precision over images by the COCO protocol.

    It uses at most the 100 best detections per image and class, and objects of all sizes. Masks are
    stored run-length encoded. COCO has no void pixels, so they are cleared in truth and prediction.
    """

    def __init__(self) -> None:
        """Start without images."""
        self._images: list[dict[str, int]] = []
        self._truth: list[dict[str, Any]] = []
        self._detections: list[dict[str, Any]] = []

    def _add(
        self, prediction: Instances, scores: DoubleArray, truth: Instances, void: BoolArray | None
    ) -> None:
        height, width = truth.masks.shape[1:]
        self._images.append({"id": len(self._images) + 1, "height": height, "width": width})
        for mask, label in zip(without_void(truth, void), truth.labels, strict=True):
            entry = self._entry(mask, int(label))
            self._truth.append({**entry, "id": len(self._truth) + 1, "iscrowd": 0})
        rows = zip(without_void(prediction, void), prediction.labels, scores, strict=True)
        for mask, label, score in rows:
            self._detections.append({**self._entry(mask, int(label)), "score": float(score)})

    def _entry(self, mask: BoolArray, label: int) -> dict[str, Any]:
        """Return one mask as a COCO annotation."""
        from pycocotools import mask as rle

        code = rle.encode(np.asfortranarray(mask.astype(np.uint8)))
        return {
            "image_id": len(self._images),
            "category_id": label,
            "segmentation": code,
            "area": float(rle.area(code)),
            "bbox": [float(side) for side in rle.toBbox(code)],
        }

    def compute(self) -> CocoScores:
        """Return the measures over the images so far.

        Raises:
            InputError: there was no true instance.
        """
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        if not self._truth:
            raise InputError(
                "average precision: expected a true instance, got none; call update first"
            )
        labels = sorted({entry["category_id"] for entry in self._truth + self._detections})
        data = COCO()
        data.dataset = {
            "images": self._images,
            "categories": [{"id": label} for label in labels],
            "annotations": self._truth,
        }
        detections = COCO()
        detections.dataset = {
            **data.dataset,
            "annotations": [
                {**entry, "id": number + 1, "iscrowd": 0}
                for number, entry in enumerate(self._detections)
            ],
        }
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints to stdout
            data.createIndex()
            detections.createIndex()
            judge = COCOeval(data, detections, "segm")
            judge.evaluate()
            judge.accumulate()
        # precision: (overlaps, recalls, classes, areas, detection limits); -1 without truth.
        precision = judge.eval["precision"][:, :, :, 0, -1]
        return CocoScores(
            ap=_mean(precision),
            ap50=_mean(precision[0]),
            ap75=_mean(precision[5]),
            per_class={
                label: _mean(precision[:, :, index])
                for index, label in enumerate(labels)
                if (precision[:, :, index] > -1).any()
            },
        )


def _mean(precision: Any) -> float:
    """Return the mean of the measured values; NaN if there are none."""
    known = precision[precision > -1]
    return float(known.mean()) if known.size else float("nan")
