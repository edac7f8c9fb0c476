"""Scoring the proposals of a file against images whose instances are known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vostrack.errors import InputError
from vostrack.eval import CocoAP, CocoScores, InstanceAP, Instances
from vostrack.eval.instance_ap import APScores
from vostrack.files import parse_json
from vostrack.masks.palette import VOID
from vostrack.masks.rle import decode_rle

if TYPE_CHECKING:
    from vostrack.datasets.labelled_images import LabelledImage, LabelledImages

__all__ = ["ProposalScores", "read_proposals", "score_proposals"]


@dataclass(frozen=True)
class ProposalScores:
    """How good proposals are.

    Attributes:
        regions: AP^r at the overlaps 0.1 to 0.9 and its volume (Hariharan et al. 2014).
        coco: COCO's mask AP.
        images: number of images.
        proposals: number of proposals on them.
        missing: images without a proposal; they count, with nothing found.
        agnostic: whether all classes were taken for one, because the proposals have none.
    """

    regions: APScores
    coco: CocoScores
    images: int
    proposals: int
    missing: tuple[str, ...]
    agnostic: bool


def read_proposals(path: str | Path) -> dict[str, Instances]:
    """Read the ``proposals.json`` that ``write_proposals`` wrote.

    Args:
        path: the file.

    Returns:
        The proposals of each image by its name, best first.

    Raises:
        InputError: the file cannot be read, or is no list of proposals.
    """
    source = Path(path)
    try:
        entries = parse_json(source.read_text(encoding="utf-8"))
        found: dict[str, list[tuple[Any, int, float]]] = {}
        for entry in entries:
            row = (
                decode_rle(entry["segmentation"]),
                int(entry["category_id"]),
                float(entry["score"]),
            )
            found.setdefault(str(entry["image"]), []).append(row)
        return {name: _instances(rows) for name, rows in found.items()}
    except OSError as error:
        raise InputError(
            f"proposals: {source} cannot be read ({error.strerror}); expected proposals.json"
        ) from None
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"proposals: {source} is no list of image, category_id, score and segmentation "
            f"({type(error).__name__}: {error}); expected proposals.json of vostrack propose"
        ) from None


def _instances(rows: list[tuple[Any, int, float]]) -> Instances:
    rows = sorted(rows, key=lambda row: -row[2])
    masks, labels, scores = zip(*rows, strict=True)
    return Instances(np.stack(masks).astype(np.bool_), np.array(labels), np.array(scores))


def score_proposals(proposals: dict[str, Instances], images: LabelledImages) -> ProposalScores:
    """Score proposals against the instances of a data set.

    Args:
        proposals: from ``read_proposals``.
        images: the data set; all its images are scored.

    Raises:
        InputError: the data set has no instances, no image of it has a proposal, or the masks of an
            image have another size than the image.
    """
    if not images.instance_classes:
        raise InputError(
            "the data set tells classes of pixels only, and proposals are scored against "
            "instances; VOC needs its folder SegmentationObject, or choose another layout"
        )
    known = [name for name in images.names if name in proposals]
    if not known:
        first = next(iter(proposals), "none")
        raise InputError(
            f"proposals: no image of the data set has a proposal: expected names such as "
            f"{images.names[0]}, got {first}; propose on the images of this subset"
        )
    agnostic = all(not proposals[name].labels.any() for name in known)
    regions, coco = InstanceAP(), CocoAP()
    for name in images.names:
        truth, void = _truth(images.load(name), agnostic=agnostic)
        mine = proposals.get(name)
        if mine is None:
            nothing = np.zeros((0, *void.shape), np.bool_)
            mine = Instances(nothing, np.zeros(0, np.int64), np.zeros(0))
        if mine.masks.shape[1:] != void.shape:
            raise InputError(
                f"proposals: the masks of {name} are {mine.masks.shape[1:]} pixels, the image "
                f"{void.shape}; propose on the images themselves"
            )
        for scorer in (regions, coco):
            scorer.update(mine, truth, void)
    return ProposalScores(
        regions=regions.compute(),
        coco=coco.compute(),
        images=len(images),
        proposals=sum(len(proposals[name]) for name in known),
        missing=tuple(name for name in images.names if name not in proposals),
        agnostic=agnostic,
    )


def _truth(image: LabelledImage, *, agnostic: bool) -> tuple[Instances, Any]:
    assert image.ids is not None
    ids = image.ids.numpy()
    numbers = [int(number) for number in np.unique(ids) if number not in (0, VOID)]
    masks = np.zeros((len(numbers), *ids.shape), np.bool_)
    for index, number in enumerate(numbers):
        masks[index] = ids == number
    labels = image.labels.numpy()[numbers] * (0 if agnostic else 1)
    return Instances(masks, labels), ids == VOID
