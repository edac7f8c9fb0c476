"""The proposals of a file against known instances."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vostrack.cli import main
from vostrack.datasets.labelled_images import LabelledImage, LabelledImages
from vostrack.errors import InputError
from vostrack.masks.frame_names import VideoFrames
from vostrack.proposers.output import write_proposals
from vostrack.proposers.scoring import read_proposals, score_proposals
from vostrack.protocols import InstanceProposals

# Two instances of the classes 3 and 5, and a void seam between them.
IDS = np.zeros((8, 12), np.int64)
IDS[2:6, 1:5], IDS[2:6, 7:11], IDS[2:6, 5] = 1, 2, 255
LABELS = np.zeros(256, np.int64)
LABELS[[1, 2]] = 3, 5


def _images(*names: str) -> LabelledImages:
    def load(name: str) -> LabelledImage:
        ids = torch.from_numpy(IDS)
        return LabelledImage(torch.zeros(3, 8, 12), ids, ids, torch.from_numpy(LABELS))

    return LabelledImages(names, 21, 20, load)


def _proposals(masks: list[object], labels: list[int], scores: list[float]) -> InstanceProposals:
    return InstanceProposals(
        np.array(masks, np.bool_),
        np.array(scores, np.float32),
        np.array(labels, np.int64),
        np.zeros((len(masks), 4), np.float32),
    )


def _write(path: Path, **images: InstanceProposals) -> Path:
    write_proposals(path, images.items())
    return path / "proposals.json"


def test_perfect_proposals_score_one(tmp_path: Path) -> None:
    file = _write(tmp_path, a=_proposals([IDS == 1, IDS == 2], [3, 5], [0.9, 0.8]))
    scores = score_proposals(read_proposals(file), _images("a"))
    assert scores.regions.volume == 1
    assert scores.coco.ap == pytest.approx(1)
    assert (scores.images, scores.proposals, scores.missing) == (1, 2, ())


def test_a_wrong_class_is_a_miss_unless_there_are_no_classes(tmp_path: Path) -> None:
    wrong = _write(tmp_path / "w", a=_proposals([IDS == 1, IDS == 2], [3, 3], [0.9, 0.8]))
    scores = score_proposals(read_proposals(wrong), _images("a"))
    assert scores.regions.mean_ap(0.5) == pytest.approx(0.5)  # class 3 is found, class 5 is not
    none = _write(tmp_path / "n", a=_proposals([IDS == 1, IDS == 2], [0, 0], [0.9, 0.8]))
    agnostic = score_proposals(read_proposals(none), _images("a"))
    assert agnostic.agnostic
    assert agnostic.regions.volume == 1


def test_void_in_do_not_count(tmp_path: Path) -> None:
    file = _write(tmp_path, a=_proposals([(IDS == 1) | (IDS == 255), IDS == 2], [3, 5], [1, 1]))
    assert score_proposals(read_proposals(file), _images("a")).coco.ap == pytest.approx(1)


def test_images_without_a_proposal_count(tmp_path: Path) -> None:
    file = _write(tmp_path, a=_proposals([IDS == 1, IDS == 2], [3, 5], [0.9, 0.8]))
    scores = score_proposals(read_proposals(file), _images("a", "b"))
    assert scores.missing == ("b",)
    assert scores.regions.mean_ap(0.5) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "JSONDecodeError"),
        ('{"a": 1}', "is no list of image"),
        ("[1]", "TypeError"),
        ('[{"image": "a"}]', "KeyError"),
        ('[{"image": "a", "segmentation": {"size": [2, 2]}, "category_id": 1, "score": 1}]', "is"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=words):
        read_proposals(tmp_path / "x.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_proposals(tmp_path / "none.json")


def test_images_of_other_names_or_sizes_are_refused(tmp_path: Path) -> None:
    file = _write(tmp_path, a=_proposals([IDS == 1], [3], [1]))
    with pytest.raises(InputError, match="expected names such as b, got a"):
        score_proposals(read_proposals(file), _images("b"))
    small = _write(tmp_path / "s", a=_proposals([(IDS == 1)[:4]], [3], [1]))
    with pytest.raises(InputError, match=r"masks of a are \(4, 12\) pixels, the image \(8, 12\)"):
        score_proposals(read_proposals(small), _images("a"))


def test_the_command_prints_and_writes_the_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    voc = tmp_path / "voc"
    for folder in ("JPEGImages", "SegmentationClass", "SegmentationObject"):
        (voc / folder).mkdir(parents=True)
    (voc / "ImageSets/Segmentation").mkdir(parents=True)
    (voc / "ImageSets/Segmentation/val.txt").write_text("a\n")
    Image.new("RGB", (12, 8)).save(voc / "JPEGImages/a.jpg")
    Image.fromarray(LABELS[IDS].astype(np.uint8)).save(voc / "SegmentationClass/a.png")
    Image.fromarray(IDS.astype(np.uint8)).save(voc / "SegmentationObject/a.png")
    file = _write(tmp_path / "out", a=_proposals([IDS == 1, IDS == 2], [3, 5], [0.9, 0.8]))
    words = ["score-proposals", "--proposals", str(file), "--root", str(voc)]
    assert main([*words, "--json", str(tmp_path / "s.json")]) == 0
    printed = capsys.readouterr().out
    assert "2 proposals on 1 image\n" in printed
    assert "AP^r volume 1.000, COCO AP 1.000" in printed
    figures = json.loads((tmp_path / "s.json").read_text())
    assert figures["ap_r_volume"] == 1
    assert figures["coco"]["per_class"].keys() == {"3", "5"}
    assert main([*words[:2], str(tmp_path / "none.json"), *words[3:]]) == 2
    before = file.read_bytes()
    capsys.readouterr()
    (tmp_path / "other.json").write_text("{}")
    for place, why in (
        (file, "is read, not written"),
        (tmp_path / "other.json", "exists and was not written by vostrack score-proposals"),
    ):
        assert main([*words, "--json", str(place)]) == 2
        assert f"--json: {place} {why}" in capsys.readouterr().err
    assert file.read_bytes() == before
    assert main([*words, "--json", str(tmp_path / "s.json"), "--quiet"]) == 0


def test_proposals_of_a_whole_video_are_no_first_mask(tmp_path: Path) -> None:
    """Those of the frame that is asked for may be; never all frames' at once."""
    from vostrack import read_first_mask

    one = _proposals([IDS == 1], [0], [0.9])
    two = _proposals([IDS == 1, IDS == 2], [0, 0], [0.9, 0.8])
    file = _write(tmp_path, **{"00000": one, "00001": two})
    assert read_first_mask(file, min_pixels=0).ids == (1,)
    second = read_first_mask(file, min_pixels=0, frames=VideoFrames((0, 1), asked=1))
    assert second.ids == (1, 2)
    assert second.frame == 1
