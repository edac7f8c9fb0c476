"""Reading boxes, selecting them, and writing proposals."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask

from vostrack.errors import InputError
from vostrack.proposers.detections import (
    VOC_CLASSES,
    Detections,
    clip_detections,
    read_detections,
    select_detections,
)
from vostrack.proposers.output import proposal_label_map, write_proposals
from vostrack.protocols import InstanceProposals


def _proposals() -> InstanceProposals:
    """Two overlapping masks in 6 x 8, the better one on top."""
    masks = np.zeros((2, 6, 8), dtype=np.bool_)
    masks[0, 1:4, 2:5] = True
    masks[1, 2:6, 3:8] = True
    return InstanceProposals(
        masks=masks,
        scores=np.array([0.9, 0.5], dtype=np.float32),
        labels=np.array([15, 3]),
        boxes=np.array([[2, 1, 5, 4], [3, 2, 8, 6]], dtype=np.float32),
    )


def test_written_proposals_read_back(tmp_path: Path) -> None:
    empty = InstanceProposals(
        np.zeros((0, 6, 8), bool),
        np.zeros(0, np.float32),
        np.zeros(0, np.int64),
        np.zeros((0, 4), np.float32),
    )
    counts = write_proposals(tmp_path / "new" / "out", [("a", _proposals()), ("b", empty)])
    assert counts == (2, 2)
    folder = tmp_path / "new" / "out"
    assert sorted(p.name for p in folder.iterdir()) == ["a.png", "b.png", "proposals.json"]
    with Image.open(folder / "a.png") as png:
        assert png.mode == "P"
        np.testing.assert_array_equal(np.asarray(png), proposal_label_map(_proposals()))
    entries = json.loads((folder / "proposals.json").read_text())
    assert [(e["image"], e["category_id"], e["bbox"]) for e in entries] == [
        ("a", 15, [2, 1, 3, 3]),
        ("a", 3, [3, 2, 5, 4]),
    ]
    for entry, mask in zip(entries, _proposals().masks, strict=True):
        np.testing.assert_array_equal(coco_mask.decode(entry["segmentation"]) > 0, mask)
        assert "category" not in entry


def test_names_of_classes_are_written(tmp_path: Path) -> None:
    named = dataclasses.replace(_proposals(), names=("person", "bird"))
    write_proposals(tmp_path, [("a", named)])
    entries = json.loads((tmp_path / "proposals.json").read_text())
    assert [entry["category"] for entry in entries] == ["person", "bird"]


def test_better_proposal_is_painted_over_the_other() -> None:
    labels = proposal_label_map(_proposals())
    assert labels[2, 3] == 1
    assert labels[5, 7] == 2
    assert labels[0, 0] == 0


def test_label_map_holds_at_most_254_proposals() -> None:
    count = 300
    masks = np.zeros((count, 1, count), dtype=np.bool_)
    masks[np.arange(count), 0, np.arange(count)] = True
    many = InstanceProposals(
        masks,
        np.linspace(1, 0, count, dtype=np.float32),
        np.zeros(count, np.int64),
        np.zeros((count, 4), np.float32),
    )
    labels = proposal_label_map(many)[0]
    assert labels[:254].tolist() == list(range(1, 255))
    assert not labels[254:].any()


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two images are called a"):
        write_proposals(tmp_path, [("a", _proposals()), ("a", _proposals())])


def _write(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_detections_are_read(tmp_path: Path) -> None:
    box = {"box": [1, 2.5, 3, 4], "score": 0.5, "label": 15, "name": "person"}
    path = _write(tmp_path / "d.json", {"format": "...", "images": {"a": [box, box], "b": []}})
    table = read_detections(path)
    assert sorted(table) == ["a", "b"]
    assert table["a"].boxes.tolist() == [[1, 2.5, 3, 4]] * 2
    assert len(table["b"]) == 0
    assert VOC_CLASSES[table["a"].labels[0]] == "person"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ([], "not of the form"),
        ({"images": []}, "not of the form"),
        ({"images": {"a": 3}}, "image a"),
        ({"images": {"a": [{"box": [1, 2, 3], "score": 1, "label": 1}]}}, "four numbers"),
        ({"images": {"a": [{"box": [1, 2, 3, 4], "label": 1}]}}, "image a.*score"),
        ({"images": {"a": [{"box": [1, 2, 3, 4], "score": "x", "label": 1}]}}, "image a"),
        ({"images": {"a": [{"box": [1, 2, 3, 4], "score": 3, "label": 1}]}}, r"in \[0, 1\]"),
        ('{"images": {"a": [{"box": [1, 2, 3, NaN], "score": 1, "label": 1}]}}', "finite"),
        ('{"images": {"a": [{"box": [1, 2, 3, 4], "score": NaN, "label": 1}]}}', "scores must"),
        ({"images": {"a": [{"box": [1, 2, 3, 4], "score": 1, "label": -2}]}}, "labels"),
    ],
)
def test_unusable_detection_files_are_refused(
    tmp_path: Path, content: object, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_detections(_write(tmp_path / "d.json", content))


def test_missing_detection_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_detections(tmp_path / "none.json")


def test_boxes_are_cut_to_the_image() -> None:
    boxes = [[-5, -5, 5, 5], [8, 2, 30, 9], [40, 0, 50, 5], [5, 5, 2, 2]]
    clipped = clip_detections(Detections.from_lists(boxes, [0.5] * 4, [1] * 4), 10, 20)
    assert clipped.boxes.tolist() == [[0, 0, 5, 5], [8, 2, 20, 9]]


def test_selection_agrees_with_torchvision() -> None:
    from torchvision.ops import batched_nms

    rng = np.random.default_rng(0)
    corners = rng.random((80, 2)) * 60
    boxes = np.concatenate([corners, corners + 5 + rng.random((80, 2)) * 40], axis=1)
    detections = Detections.from_lists(boxes, rng.random(80), rng.integers(1, 4, 80))
    kept = batched_nms(
        torch.from_numpy(detections.boxes),
        torch.from_numpy(detections.scores),
        torch.from_numpy(detections.labels),
        0.4,
    )
    expected = detections[kept.numpy()]
    selected = select_detections(detections, 0.2, 0.4, 1000)
    assert selected.boxes.tolist() == expected.boxes[expected.scores >= 0.2].tolist()
    assert len(select_detections(detections, 0.2, 0.4, 3)) == 3
    assert (
        select_detections(detections, 0.2, 0.4, 3).scores.tolist() == selected.scores[:3].tolist()
    )


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="boxes"):
        Detections.from_lists([[1, 2, 3, 4]], [0.1, 0.2], [1])
    with pytest.raises(InputError, match="four numbers"):
        Detections.from_lists([1, 2, 3], [0.1], [1])
    with pytest.raises(InputError, match="expected numbers"):
        Detections.from_lists([[1, 2, 3, 4]], [0.1], [{}])
