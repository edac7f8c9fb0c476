"""What is written is read by datumaro.

Of CVAT it reads masks of images. It fails at masks of videos, also at those that CVAT wrote. It
pins other versions of Pillow and OpenCV, so it is not installed with the tests:
``pip install --group readers``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vostrack.arrays import BoolArray, UInt8Array
from vostrack.masks import VideoMasks, export_results

_WHY = "datumaro is not installed: pip install --group readers"


@pytest.fixture(scope="module")
def datumaro() -> Any:
    return pytest.importorskip("datumaro", reason=_WHY)


def _pictures(masks: VideoMasks, folder: Path) -> None:
    folder.mkdir(parents=True)
    for frame in masks.frames:
        Image.new("RGB", masks.size[::-1]).save(folder / f"{frame.name}.png")


def _shapes(item: Any) -> Iterator[tuple[Any, BoolArray]]:
    """Yield the masks of an item."""
    for entry in item.annotations:
        if hasattr(entry, "image"):
            yield entry, np.asarray(entry.image).astype(bool)


def _visible(labels: UInt8Array) -> UInt8Array:
    return np.where(labels == 255, 0, labels).astype(np.uint8)


def test_coco(datumaro: Any, video: VideoMasks, tmp_path: Path) -> None:
    _pictures(video, tmp_path / "images" / "train")
    (tmp_path / "annotations").mkdir()
    export_results(video, "coco", tmp_path / "annotations" / "instances_train.json")
    read = datumaro.Dataset.import_from(str(tmp_path), "coco_instances")
    names = [label.name for label in read.categories()[datumaro.AnnotationType.label]]
    assert {"person", "horse"} <= set(names)
    found = {item.id: item for item in read}
    assert sorted(found) == [str(number) for number in range(1001, 1006)]
    for k in range(5):
        drawn = np.zeros(video.size, np.uint8)
        for entry, mask in _shapes(found[str(1001 + k)]):
            crowd = entry.attributes["is_crowd"]
            drawn[mask] = 255 if crowd else {"person": 3, "horse": 7}[names[entry.label]]
        np.testing.assert_array_equal(drawn, video.labels(k))


def test_mots_images(datumaro: Any, video: VideoMasks, tmp_path: Path) -> None:
    _pictures(video, tmp_path / "train" / "images")
    export_results(video, "mots-png", tmp_path / "train" / "instances")
    (tmp_path / "train" / "instances" / "labels.txt").write_text("background\ncar\npedestrian\n")
    read = datumaro.Dataset.import_from(str(tmp_path), "mots")
    found = {item.id: item for item in read}
    assert len(found) == 5
    for k in range(5):
        drawn = np.zeros(video.size, np.uint8)
        for entry, mask in _shapes(found[str(1001 + k)]):
            drawn[mask] = entry.attributes["track_id"]
        np.testing.assert_array_equal(drawn, _visible(video.labels(k)))


def test_cvat_for_images(datumaro: Any, video: VideoMasks, tmp_path: Path) -> None:
    _pictures(video, tmp_path / "images")
    export_results(video, "cvat-images", tmp_path / "m.xml")
    read = datumaro.Dataset.import_from(str(tmp_path), "cvat")
    names = [label.name for label in read.categories()[datumaro.AnnotationType.label]]
    found = {item.id: item for item in read}
    assert sorted(found) == [str(number) for number in range(1001, 1006)]
    for k in range(5):
        drawn = np.zeros(video.size, np.uint8)
        for entry, mask in _shapes(found[str(1001 + k)]):
            assert (names[entry.label], entry.group) in (("person", 3), ("horse", 7))
            drawn[mask] = entry.group
        np.testing.assert_array_equal(drawn, _visible(video.labels(k)))
