"""What is written is read by TrackEval, whose formats are those of several benchmarks.

It is not installed with the tests: ``pip install --group readers``.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from vostrack.arrays import UInt8Array
from vostrack.masks import VideoMasks, export_results
from vostrack.masks.rle import decode_rle, encode_rle

_WHY = "it is not installed: pip install --group readers"


def _visible(labels: UInt8Array) -> UInt8Array:
    return np.where(labels == 255, 0, labels).astype(np.uint8)


def test_burst(video: VideoMasks, tmp_path: Path) -> None:
    reader = pytest.importorskip("trackeval.datasets.burst_helpers.format_converter", reason=_WHY)
    export_results(video, "burst", tmp_path / "m.json")
    content = json.loads((tmp_path / "m.json").read_text())
    found = reader.GroundTruthBURSTFormatToTAOFormatConverter(content).convert()
    assert len(found["images"]) == 5
    assert len(found["tracks"]) == 2
    names = {image["id"]: image["file_name"] for image in found["images"]}
    drawn = {f"{n}.png": np.zeros(video.size, np.uint8) for n in range(1001, 1006)}
    for a in found["annotations"]:
        name = Path(names[a["image_id"]]).name
        drawn[name][coco_mask.decode(a["segmentation"]) > 0] = {1: 3, 2: 7}[a["track_id"]]
    for k in range(5):
        np.testing.assert_array_equal(drawn[f"{1001 + k}.png"], _visible(video.labels(k)))


def test_mots_text(video: VideoMasks, tmp_path: Path) -> None:
    datasets = pytest.importorskip("trackeval.datasets", reason=_WHY)
    for kind in ("gt", "tracker"):
        place = tmp_path / kind / "MOTS-train"
        place = place / "shot/gt" if kind == "gt" else place / "ours/data"
        place.mkdir(parents=True)
        # MOTSChallenge counts frames from 1.
        frames = tuple(replace(f, number=f.number - 1000) for f in video.frames)
        name = "gt.txt" if kind == "gt" else "shot.txt"
        export_results(replace(video, frames=frames), "mots-txt", place / name)
    dataset = datasets.MOTSChallenge(
        {
            "GT_FOLDER": str(tmp_path / "gt"),
            "TRACKERS_FOLDER": str(tmp_path / "tracker"),
            "TRACKERS_TO_EVAL": ["ours"],
            "SEQ_INFO": {"shot": 5},
            "PRINT_CONFIG": False,
        }
    )
    data = dataset.get_raw_seq_data("ours", "shot")
    for k in range(5):
        assert set(data["gt_ids"][k]) == {2003, 3007} - ({3007} if k == 2 else set())
        planes = dict(zip(data["gt_ids"][k], data["gt_dets"][k], strict=True))
        for number, coded in planes.items():
            truth = video.labels(k) == number % 1000
            np.testing.assert_array_equal(coco_mask.decode(coded), truth)
        if k:
            ignored = coco_mask.decode(data["gt_ignore_region"][k])
            np.testing.assert_array_equal(ignored, video.labels(k) == 255)


def test_davis(video: VideoMasks, tmp_path: Path) -> None:
    datasets = pytest.importorskip("trackeval.datasets", reason=_WHY)
    export_results(video, "davis", tmp_path / "gt/shot")
    export_results(video, "davis", tmp_path / "tracker/ours/data/shot")
    dataset = datasets.DAVIS(
        {
            "GT_FOLDER": str(tmp_path / "gt"),
            "TRACKERS_FOLDER": str(tmp_path / "tracker"),
            "PRINT_CONFIG": False,
        }
    )
    data = dataset.get_raw_seq_data("ours", "shot")
    for k in range(5):
        assert data["gt_ids"][k].tolist() == [3, 7] if k != 2 else [3]
        for number, coded in zip(data["gt_ids"][k], data["gt_dets"][k], strict=True):
            np.testing.assert_array_equal(coco_mask.decode(coded), video.labels(k) == number)
        void = coco_mask.decode(data["masks_void"][k])
        np.testing.assert_array_equal(void, video.labels(k) == 255)


def test_youtube_vis(without_void: VideoMasks, tmp_path: Path) -> None:
    datasets = pytest.importorskip("trackeval.datasets", reason=_WHY)
    (tmp_path / "gt_youtube_vis_train_sub_split").mkdir()
    export_results(without_void, "youtube-vis", tmp_path / "gt_youtube_vis_train_sub_split/m.json")
    content = json.loads((tmp_path / "gt_youtube_vis_train_sub_split/m.json").read_text())
    own = tmp_path / "own_youtube_vis_train_sub_split/ours/data"
    own.mkdir(parents=True)
    # Results are compressed, annotations are not.
    for a in content["annotations"]:
        planes = [rle and encode_rle(decode_rle(rle)) for rle in a["segmentations"]]
        a |= {"segmentations": planes, "score": 1.0}
    (own / "m.json").write_text(json.dumps(content["annotations"]))
    dataset = datasets.YouTubeVIS(
        {
            "GT_FOLDER": str(tmp_path / "gt_"),
            "TRACKERS_FOLDER": str(tmp_path / "own_"),
            "PRINT_CONFIG": False,
        }
    )
    assert dataset.class_list == ["person", "horse"]
    data = dataset.get_raw_seq_data("ours", dataset.seq_list[0])
    for k in range(5):
        drawn = np.zeros(without_void.size, np.uint8)
        for kind, coded in zip(data["gt_classes"][k], data["gt_dets"][k], strict=True):
            name = next(c["name"] for c in content["categories"] if c["id"] == kind)
            drawn[coco_mask.decode(coded) > 0] = {"person": 3, "horse": 7}[name]
        np.testing.assert_array_equal(drawn, without_void.labels(k))
