"""COCO average precision of instance masks, computed by pycocotools."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from vostrack.arrays import BoolArray
from vostrack.errors import InputError
from vostrack.eval.instance_ap import check_sizes
from vostrack.eval.instances import Instances, without_void

__all__ = ["CocoAP", "CocoScores"]


@dataclass(frozen=True)
class CocoScores:
    """The COCO measures; each in [0, 1], or NaN where there is no true instance.

    Attributes:
        ap: the mean over the overlaps 0.50, 0.55, ..., 0.95.
        ap50: at overlap 0.5.
        ap75: at overlap 0.75.
        per_class: AP of each label that has a true instance.
    """

    ap: float
    ap50: float
    ap75: float
    per_class: dict[int, float]


class CocoAP:
    """Pools detections over images for the COCO protocol.

    At most the 100 best detections of an image and class count; areas of all sizes. Masks are kept
    run-length coded. Void pixels, which COCO does not know, are cleared in truth and prediction.
    """

    def __init__(self) -> None:
        """Begin with no image."""
        self._images: list[dict[str, int]] = []
        self._truth: list[dict[str, Any]] = []
        self._detections: list[dict[str, Any]] = []

    def update(
        self, prediction: Instances, truth: Instances, void: BoolArray | None = None
    ) -> None:
        """Add one image.

        Args:
            prediction: the detections, with scores.
            truth: the true instances.
            void: (H, W) pixels that count for neither; None for none.

        Raises:
            InputError: detections without scores, or masks of another size than the truth's.
        """
        if prediction.scores is None:
            raise InputError("prediction.scores: expected one score for each detection, got None")
        check_sizes(prediction, truth, void)
        height, width = truth.masks.shape[1:]
        self._images.append({"id": len(self._images) + 1, "height": height, "width": width})
        for mask, label in zip(without_void(truth, void), truth.labels, strict=True):
            entry = self._entry(mask, int(label))
            self._truth.append({**entry, "id": len(self._truth) + 1, "iscrowd": 0})
        rows = zip(
            without_void(prediction, void), prediction.labels, prediction.scores, strict=True
        )
        for mask, label, score in rows:
            self._detections.append({**self._entry(mask, int(label)), "score": float(score)})

    def _entry(self, mask: BoolArray, label: int) -> dict[str, Any]:
        """Describe one mask as COCO does."""
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
            InputError: no image had a true instance.
        """
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        if not self._truth:
            raise InputError("no image had a true instance; nothing to score")
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
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports on stdout
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
    """Return the mean of what was measured."""
    known = precision[precision > -1]
    return float(known.mean()) if known.size else float("nan")
