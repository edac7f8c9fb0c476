from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.masks import MasksJsonWriter, encode_rle, read_masks_json, write_masks_json


@pytest.fixture
def clip() -> UInt8Array:
    """(5, 20, 30), ids 3 and 7; 7 is gone in frame 2; some void."""
    labels = np.zeros((5, 20, 30), dtype=np.uint8)
    for t in range(5):
        labels[t, 2 + t : 9 + t, 3:12] = 3
        labels[t, 10:15, 10 + t : 20 + t] = 7
    labels[2][labels[2] == 7] = 0
    labels[:, 0] = 255
    return labels


def test_round_trip(tmp_path: Path, clip: UInt8Array) -> None:
    path = tmp_path / "out" / "masks.json"
    frames = list(zip((10, 12, 14, 16, 18), clip, strict=True))
    write_masks_json(path, frames, (3, 7), (20, 30), names={7: "hörse"}, info={"preset": "fast"})
    video = read_masks_json(path)
    assert video.size == (20, 30)
    assert video.frames == (10, 12, 14, 16, 18)
    assert [(track.id, track.name) for track in video.objects] == [(3, "3"), (7, "hörse")]
    assert video.info == {"preset": "fast"}
    for t in range(5):
        np.testing.assert_array_equal(video.labels(t), np.where(clip[t] == 255, 0, clip[t]))


def test_pycocotools_loads_every_annotation(
    tmp_path: Path, clip: UInt8Array, capsys: pytest.CaptureFixture[str]
) -> None:
    write_masks_json(tmp_path / "m.json", enumerate(clip), (3, 7), (20, 30), names={7: "horse"})
    coco = COCO(str(tmp_path / "m.json"))
    capsys.readouterr()
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == ["object", "horse", "void"]
    for t in range(5):
        found = coco.loadAnns(coco.getAnnIds(imgIds=[t + 1]))
        masks = {a["track_id"] if not a["iscrowd"] else 255: coco.annToMask(a) for a in found}
        assert sorted(masks) == [n for n in (3, 7, 255) if (clip[t] == n).any()]
        for number, mask in masks.items():
            np.testing.assert_array_equal(mask, clip[t] == number)
        assert all(a["area"] == masks[a.get("track_id", 255)].sum() for a in found)
        boxes = {a.get("track_id", 255): a["bbox"] for a in found}
        assert boxes[3] == [3, 2 + t, 9, 7]


def test_the_layout_of_earlier_versions_is_read(tmp_path: Path, clip: UInt8Array) -> None:
    tracks = [
        {"id": n, "name": str(n), "segmentations": [encode_rle(frame == n) for frame in clip]}
        for n in (3, 7)
    ]
    content = {"info": {}, "size": [20, 30], "frames": [4, 5, 6, 7, 8], "objects": tracks}
    (tmp_path / "m.json").write_text(json.dumps(content))
    video = read_masks_json(tmp_path / "m.json")
    assert video.frames == (4, 5, 6, 7, 8)
    for t in range(5):
        np.testing.assert_array_equal(video.labels(t), np.where(clip[t] == 255, 0, clip[t]))


def test_label_maps_are_taken_one_by_one(tmp_path: Path) -> None:
    alive = 0
    most = 0

    class Counted(np.ndarray[Any, Any]):
        def __del__(self) -> None:
            nonlocal alive
            alive -= self.base is None

    def frames() -> Iterator[tuple[int, UInt8Array]]:
        nonlocal alive, most
        for t in range(50):
            labels = Counted((20, 30), dtype=np.uint8)
            labels.fill(1)
            alive += 1
            most = max(most, alive)
            yield t, labels

    write_masks_json(tmp_path / "m.json", frames(), (1,), (20, 30))
    assert most <= 2


def test_a_writer_can_be_saved_more_than_once(tmp_path: Path, clip: UInt8Array) -> None:
    writer = MasksJsonWriter((3, 7), (20, 30))
    writer.add(0, clip[0])
    writer.save(tmp_path / "m.json")
    assert read_masks_json(tmp_path / "m.json").frames == (0,)
    writer.add(1, clip[1])
    writer.save(tmp_path / "m.json")
    np.testing.assert_array_equal(read_masks_json(tmp_path / "m.json").labels(1) == 7, clip[1] == 7)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.full((20, 30), 9, np.uint8), r"ids \[9\] are not among \[3, 7\]; pass all ids"),
        (np.zeros((30, 20), np.uint8), r"expected uint8 of shape \(20, 30\)"),
        (np.zeros((20, 30), np.int64), "got int64"),
    ],
)
def test_frames_that_do_not_fit(labels: UInt8Array, words: str) -> None:
    with pytest.raises(InputError, match=words):
        MasksJsonWriter((3, 7), (20, 30)).add(4, labels)


@pytest.mark.parametrize("ids", [(0,), (255,), (1, 1)])
def test_ids_that_no_label_map_holds(ids: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"distinct ids in 1\.\.254"):
        MasksJsonWriter(ids, (4, 4))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "invalid JSON"),
        ("[]", "expected the layout of masks.json"),
        ('{"size": [4, 4], "frames": [0]}', "expected the layout"),
        ('{"size": [4], "frames": [0], "objects": []}', "expected the layout"),
        ('{"size": [4, 4], "frames": [0], "objects": [3]}', "expected the layout"),
        (
            '{"size": [4, 4], "frames": [0], "objects": [{"id": 1, "segmentations": []}]}',
            "object 1 has 0 masks",
        ),
        (
            '{"size": [4, 4], "frames": [0], "objects": [{"id": 1, "segmentations": [7]}]}',
            "RLE or null",
        ),
        (
            '{"size": [4, 4], "frames": [0], "objects": [{"id": 300, "segmentations": [null]}]}',
            "id in 1..254",
        ),
        (None, "check the path"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "m.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        read_masks_json(path)
    assert "m.json" in str(caught.value)


def test_a_mask_of_another_size_is_refused(tmp_path: Path, clip: UInt8Array) -> None:
    write_masks_json(tmp_path / "m.json", enumerate(clip), (3, 7), (20, 30))
    content = json.loads((tmp_path / "m.json").read_text())
    content["info"]["size"] = [30, 20]
    (tmp_path / "m.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="object 3 in frame 0"):
        read_masks_json(tmp_path / "m.json").labels(0)
