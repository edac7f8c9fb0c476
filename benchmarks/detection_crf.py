"""Score the proposer detection-crf on a VOC folder: the rows of Arnab and Torr (2016), table 1.

Instances: AP^r at overlaps 0.5 to 0.9 and AP^r_vol, SDS matching, area under the precision's
envelope. Rows: the class mask inside each box (section 3.3 of the paper, "naive"); no detection
potentials; with them, but the detector's own scores; the full system. Classes: mean IoU of the
network alone, and of the class CRF without and with the potentials.

    python benchmarks/detection_crf.py --voc VOC2007 --detections boxes.json \
        --semantic deeplab_mobilenetv2 --semantic-weights FILE [--set SUBSET] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import environment, write_record
from torch import Tensor

from vostrack.datasets.voc import VocSample, open_voc
from vostrack.eval.instance_ap import InstanceAP
from vostrack.eval.instances import Instances, instances_from_voc
from vostrack.eval.semantic import ConfusionMatrix
from vostrack.proposers.detection_crf import DetectionCrfProposer, ProposerConfig
from vostrack.proposers.detection_crf.instances import box_masks
from vostrack.proposers.detections import Detections, clip_detections, read_detections
from vostrack.proposers.semantic import build_semantic

OVERLAPS = (0.5, 0.6, 0.7, 0.8, 0.9)


class Row:
    """The scores of one system."""

    def __init__(self) -> None:
        self.instances = InstanceAP()
        self.classes = ConfusionMatrix(21)

    def add(self, sample: VocSample, found: Instances, classes: np.ndarray[Any, Any]) -> None:
        """Judge one image."""
        truth, void = instances_from_voc(sample.classes, sample.instances)
        self.instances.update(found, truth, void)
        self.classes.update(classes.astype(np.uint8), sample.classes)

    def summary(self) -> dict[str, float]:
        """AP^r by overlap, AP^r_vol, mean IoU."""
        scores = self.instances.compute()
        values = {f"AP {overlap}": scores.mean_ap(overlap) for overlap in OVERLAPS}
        values |= {"AP vol": scores.volume, "mean IoU": self.classes.compute().mean_iou}
        return {name: round(value, 4) for name, value in values.items()}


class Computed:
    """Scores that were computed before, so that one pass of the network serves all rows."""

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits

    def __call__(self, image: Tensor) -> Tensor:
        """Return them."""
        return self.logits


def rows(config: ProposerConfig) -> dict[str, ProposerConfig]:
    """The systems of table 1 by name."""
    crf = config.crf
    return {
        "no detection potentials": replace(config, crf=replace(crf, potentials=None)),
        "potentials, Y ignored": replace(config, crf=replace(crf, recalibrate=False)),
        "full system": config,
    }


def naive(detections: Detections, classes: np.ndarray[Any, Any], min_score: float) -> Instances:
    """The class mask inside each detection."""
    boxes = clip_detections(detections[detections.scores >= min_score], *classes.shape)
    inside = box_masks(boxes.boxes, *classes.shape)
    masks = inside & (classes[None] == boxes.labels[:, None, None])
    return Instances(masks, boxes.labels, boxes.scores.astype(np.float64))


def main() -> None:
    """Score every row and write the record."""
    parser = argparse.ArgumentParser(description="Score the proposer detection-crf.")
    parser.add_argument("--voc", required=True, type=Path)
    parser.add_argument("--set", default="val", dest="subset")
    parser.add_argument("--detections", required=True, type=Path)
    parser.add_argument("--semantic", default="deeplab_mobilenetv2")
    parser.add_argument("--semantic-weights", type=Path)
    parser.add_argument("--json", metavar="FILE", help="also write the record here")
    arguments = parser.parse_args()
    network = build_semantic(arguments.semantic, arguments.semantic_weights)
    table = read_detections(arguments.detections)
    config = ProposerConfig()
    results = {"naive": Row(), **{name: Row() for name in rows(config)}}
    for image in open_voc(arguments.voc, arguments.subset):
        sample = image.read()
        pixels = torch.from_numpy(sample.frame.copy()).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():
            logits = network(pixels)
        plain = logits[0].argmax(0).numpy()
        boxes = table[image.name]
        results["naive"].add(sample, naive(boxes, plain, config.min_score), plain)
        for name, settings in rows(config).items():
            proposer = DetectionCrfProposer(semantic=Computed(logits), config=settings)
            output, used = proposer.analyse(sample.frame, boxes)
            found = proposer.cut(output, used, plain.shape)
            instances = Instances(found.masks, found.labels, found.scores.astype(np.float64))
            results[name].add(sample, instances, output.class_logits.argmax(0).numpy())
    record = {
        "benchmark": "detection-crf, AP^r and mean IoU",
        "environment": environment(("torch", "numpy", "opencv-python")),
        "rows": {name: row.summary() for name, row in results.items()},
    }
    if arguments.json:
        write_record(arguments.json, record)
    else:
        print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
