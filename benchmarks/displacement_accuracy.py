"""Score the displacement proposer on VOC images, for ``benchmarks/displacement.py --voc``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from vostrack.eval import CocoAP, InstanceAP, Instances, instances_from_voc
from vostrack.masks.palette import VOID, read_label_map
from vostrack.proposers.displacement.networks import DisplacementNet
from vostrack.proposers.displacement.proposer import DisplacementConfig, DisplacementProposer
from vostrack.proposers.displacement.segmentation import Segmentation, from_labels
from vostrack.proposers.displacement.selection import (
    Candidates,
    SelectionConfig,
    select_instances,
)
from vostrack.proposers.semantic import build_semantic
from vostrack.protocols import InstanceProposals
from vostrack.video.images import read_image

__all__ = ["accuracy"]


def components(segmentation: Segmentation, config: SelectionConfig) -> InstanceProposals:
    """The baseline: every connected component of every class is an instance, scored as ours."""
    labels = segmentation.labels.cpu().numpy()
    maps: list[np.ndarray[Any, Any]] = []
    classes: list[int] = []
    for class_id in np.unique(labels).tolist():
        if class_id in (0, VOID):
            continue
        count, numbered = cv2.connectedComponents((labels == class_id).astype(np.uint8))
        maps += [numbered == k for k in range(1, count) if (numbered == k).sum() >= 100]
        classes += [class_id] * (len(maps) - len(classes))
    stacked = np.stack(maps) if maps else np.zeros((0, *labels.shape), np.bool_)
    numbers = np.arange(1, len(classes) + 1)
    pieces = torch.from_numpy((stacked * numbers[:, None, None]).sum(0, dtype=np.int64))
    found = Candidates(
        torch.from_numpy(stacked).float(),
        np.array(classes, dtype=np.int64),
        numbers,
        np.ones(len(classes)),
    )
    return select_instances(found, pieces, segmentation.probabilities.cpu(), config)


def voc_images(root: Path) -> Iterator[tuple[str, Any, Any, Any]]:
    """Name, frame, class map and object map of every image that has an object map."""
    for path in sorted((root / "SegmentationObject").glob("*.png")):
        frame = read_image(root / "JPEGImages" / f"{path.stem}.jpg")
        yield (
            path.stem,
            frame,
            read_label_map(root / "SegmentationClass" / path.name),
            read_label_map(path),
        )


def accuracy(
    root: Path, network: DisplacementNet, semantic_weights: Path, longest: int
) -> dict[str, Any]:
    """Score the baseline, the field alone, and field and boundary, on two kinds of mask."""
    semantic = build_semantic("deeplab_mobilenetv2", semantic_weights)
    light = DisplacementConfig(longest)
    paper = replace(light, pieces=False, grouping=None)
    ways = {
        name: DisplacementProposer(network, semantic, config=config)
        for name, config in {
            "fields": replace(light, boundaries=False),
            "fields and boundaries": light,
            "fields, whole classes": replace(paper, boundaries=False),
            "fields and boundaries, whole classes": paper,
        }.items()
    }
    scorers: dict[str, tuple[CocoAP, InstanceAP]] = {}
    for _, frame, class_map, object_map in voc_images(root):
        truth, void = instances_from_voc(class_map, object_map)
        masks = {
            "network": ways["fields"].segment(frame),
            "true": from_labels(class_map, torch.device("cpu")),
        }
        for kind, segmentation in masks.items():
            found = {name: way.find(segmentation)[0] for name, way in ways.items()}
            found["components"] = components(segmentation, SelectionConfig())
            for name, result in found.items():
                instances = Instances(result.masks, result.labels, result.scores.astype(np.float64))
                pair = scorers.setdefault(f"{kind} masks: {name}", (CocoAP(), InstanceAP()))
                for scorer in pair:
                    scorer.update(instances, truth, void)
    return {name: _figures(*pair) for name, pair in scorers.items()}


def _figures(coco: CocoAP, regions: InstanceAP) -> dict[str, float]:
    scores, areas = coco.compute(), regions.compute()
    return {
        "AP": round(scores.ap, 4),
        "AP50": round(scores.ap50, 4),
        "AP75": round(scores.ap75, 4),
        **{f"APr {t}": round(areas.mean_ap(t), 4) for t in (0.5, 0.7, 0.9)},
        "APr vol": round(areas.volume, 4),
    }
