"""Score the proposer detection-crf on a VOC folder: the rows of Arnab and Torr (2016), table 1.

Instances: AP^r at overlaps 0.5 to 0.9 and AP^r_vol, SDS matching, area under the precision's
envelope. Rows: the class mask inside each box (section 3.3 of the paper, "naive"); no detection
potentials; with them, but the detector's own scores; the full system. Classes: mean IoU of the
network alone, and of the class CRF without and with the potentials.

    python benchmarks/detection_crf.py --voc VOC2007 --detections boxes.json \
        --semantic deeplab_mobilenetv2 --semantic-weights FILE [--set SUBSET] [--json FILE]
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from record import begin_record, benchmark_parser, finish_record

from vostrack.datasets.voc import VocSample, open_voc
from vostrack.eval.instance_ap import InstanceAP
from vostrack.eval.instances import Instances, instances_from_voc
from vostrack.eval.semantic import ConfusionMatrix
from vostrack.masks.palette import davis_palette
from vostrack.proposers.detection_crf import (
    DetectionCrfProposer,
    ProposerConfig,
    grabcut_foregrounds,
)
from vostrack.proposers.detection_crf.instances import box_masks
from vostrack.proposers.detection_crf.proposer import SemanticScorer
from vostrack.proposers.detections import (
    Detections,
    clip_detections,
    read_detections,
    select_detections,
)
from vostrack.proposers.semantic import build_semantic
from vostrack.protocols import InstanceProposals
from vostrack.refine.dense_crf import image_kernels

OVERLAPS = (0.5, 0.6, 0.7, 0.8, 0.9)
# Lowest detector score that the naive method uses: that of its published figure, and ours.
NAIVE = {"naive": 0.3, "naive, all boxes": ProposerConfig().min_score}


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


class Shared:
    """What every row needs of one image, computed once."""

    def __init__(self, sample: VocSample, network: SemanticScorer, boxes: Detections) -> None:
        config = ProposerConfig()
        self.sample = sample
        self.image = torch.from_numpy(sample.frame.copy()).permute(2, 0, 1).float() / 255
        self.logits = network(self.image[None])[0]
        self.classes = self.logits.argmax(0).numpy()
        self.boxes = select_detections(
            clip_detections(boxes, *self.classes.shape),
            config.min_score,
            config.max_overlap,
            config.max_detections,
        )
        self.foregrounds = torch.from_numpy(grabcut_foregrounds(sample.frame, self.boxes.boxes))
        self.kernels = image_kernels(self.image, config.crf.kernels)

    def judge(self, row: Row, config: ProposerConfig) -> InstanceProposals:
        """Run one system, and add what it finds to its row."""
        proposer = DetectionCrfProposer(semantic=lambda image: image, config=config)
        output = proposer.network(
            self.image, self.logits, self.boxes, self.foregrounds, self.kernels
        )
        found = proposer.cut(output, self.boxes, self.classes.shape)
        instances = Instances(found.masks, found.labels, found.scores.astype(np.float64))
        row.add(self.sample, instances, output.class_logits.argmax(0).numpy())
        return found


@torch.inference_mode()
def main() -> None:
    """Score every row and write the record."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--voc", required=True, type=Path)
    parser.add_argument("--set", default="val", dest="subset")
    parser.add_argument("--detections", required=True, type=Path)
    parser.add_argument("--semantic", default="deeplab_mobilenetv2")
    parser.add_argument("--semantic-weights", type=Path)
    parser.add_argument("--first", type=int, help="number of images, for a quick look")
    parser.add_argument("--figures", metavar="DIR", type=Path, help="write a figure per image here")
    arguments = parser.parse_args()
    record = begin_record("detection-crf, AP^r and mean IoU", ("torch", "numpy", "opencv-python"))
    network = build_semantic(arguments.semantic, arguments.semantic_weights)
    table = read_detections(arguments.detections)
    config = ProposerConfig()
    results = {name: Row() for name in (*NAIVE, *rows(config))}
    images = open_voc(arguments.voc, arguments.subset)[: arguments.first]
    for image in images:
        shared = Shared(image.read(), network, table[image.name])
        for name, lowest in NAIVE.items():
            results[name].add(
                shared.sample, naive(table[image.name], shared.classes, lowest), shared.classes
            )
        for name, settings in rows(config).items():
            found = shared.judge(results[name], settings)
        if arguments.figures:
            draw(arguments.figures / f"{image.name}.png", shared, found)
    summaries = {name: row.summary() for name, row in results.items()}
    record |= {"images": len(images), "rows": summaries}
    finish_record(record, arguments.json)
    print(as_table(summaries))


def as_table(summaries: dict[str, dict[str, float]]) -> str:
    """The rows as a Markdown table."""
    columns = list(next(iter(summaries.values())))
    lines = ["| row | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, values in summaries.items():
        cells = " | ".join(f"{values[column]:.3f}" for column in columns)
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)


def draw(path: Path, shared: Shared, found: InstanceProposals) -> None:
    """Write the boxes used, the instances of the last row and the true ones, side by side."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame, palette = shared.sample.frame, davis_palette()
    boxed = frame.copy()
    for box, score in zip(shared.boxes.boxes.astype(int), shared.boxes.scores, strict=True):
        corners = (tuple(box[:2].tolist()), tuple(box[2:].tolist()))
        cv2.rectangle(boxed, *corners, (255, 255, 0), 2 if score >= NAIVE["naive"] else 1)
    labels = np.zeros(frame.shape[:2], dtype=np.uint8)
    for index in range(min(len(found), 254) - 1, -1, -1):
        labels[found.masks[index]] = index + 1
    truth = np.where(shared.sample.instances == 255, 0, shared.sample.instances)
    shaded = [(palette[ids] * 0.6 + frame * 0.4).astype(np.uint8) for ids in (labels, truth)]
    cv2.imwrite(str(path), np.concatenate([boxed, *shaded], axis=1)[..., ::-1])


if __name__ == "__main__":
    main()
