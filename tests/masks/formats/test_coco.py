from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from vostrack.masks import VideoMasks, export_results


def test_pycocotools_loads_it(
    video: VideoMasks, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export_results(video, "coco", tmp_path / "m.json") == ()
    coco = COCO(str(tmp_path / "m.json"))
    capsys.readouterr()
    assert [c["name"] for c in coco.cats.values()] == ["person", "horse", "void"]
    assert [i["file_name"] for i in coco.imgs.values()] == [f"{n}.png" for n in range(1001, 1006)]
    assert [i["time"] for i in coco.imgs.values()] == [0, 0.04, 0.08, 0.12, 0.16]
    for k in range(5):
        found = np.zeros(video.size, np.uint8)
        for a in coco.loadAnns(coco.getAnnIds(imgIds=[k + 1])):
            found[coco.annToMask(a) > 0] = 255 if a["iscrowd"] else a["track_id"]
        np.testing.assert_array_equal(found, video.labels(k))


def test_youtube_vis(video: VideoMasks, tmp_path: Path) -> None:
    assert export_results(video, "youtube-vis", tmp_path / "m.json") == ()
    content = json.loads((tmp_path / "m.json").read_text())
    assert content["videos"][0]["file_names"][0] == "1001.png"
    assert content["videos"][0]["length"] == 5
    for track in content["annotations"]:
        number = 255 if track["iscrowd"] else track["id"]
        for k, rle in enumerate(track["segmentations"]):
            truth = video.labels(k) == number
            assert (rle is None) == (not truth.any())
            if rle is not None:
                coded = coco_mask.frPyObjects(rle, *video.size)
                np.testing.assert_array_equal(coco_mask.decode(coded), truth)
                assert track["areas"][k] == truth.sum()
