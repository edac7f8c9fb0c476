from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vostrack.errors import InputError
from vostrack.masks import VideoMasks, from_detections, to_detections


@pytest.fixture
def supervision() -> Any:
    """Imported where it is used: that takes a second."""
    return pytest.importorskip("supervision")


def test_to_and_from(video: VideoMasks, supervision: Any) -> None:
    found = to_detections(video.labels(1), video.objects)
    assert isinstance(found, supervision.Detections)
    assert found.tracker_id.tolist() == [3, 7]
    assert found["class_name"].tolist() == ["person", "horse"]
    assert found.area.tolist() == [(video.labels(1) == n).sum() for n in (3, 7)]
    x0, y0, x1, y1 = found.xyxy[1]
    assert video.labels(1)[int(y0) : int(y1) + 1, int(x0) : int(x1) + 1].tolist()[0][0] == 7
    mask = from_detections(found, size=video.size, min_pixels=0)
    np.testing.assert_array_equal(mask.labels, np.where(video.labels(1) == 255, 0, video.labels(1)))
    assert (mask.ids, mask.names) == ((3, 7), ("left", "pferd süß"))


@pytest.mark.usefixtures("supervision")
def test_nothing_visible(video: VideoMasks) -> None:
    assert len(to_detections(np.zeros((4, 4), np.uint8))) == 0


@pytest.mark.usefixtures("supervision")
def test_ids_that_are_no_ids(video: VideoMasks) -> None:
    found = to_detections(video.labels(0))
    found.tracker_id = np.array([0, 0])
    assert from_detections(found, min_pixels=0).ids == (1, 2)
    found.tracker_id = None
    assert from_detections(found, min_pixels=0).ids == (1, 2)


def test_boxes_are_refused(supervision: Any) -> None:
    boxes = supervision.Detections(xyxy=np.array([[0.0, 0, 3, 3]]))
    with pytest.raises(InputError, match="use a model that segments"):
        from_detections(boxes)


def test_a_missing_library_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "supervision", None)
    with pytest.raises(InputError, match=r"pip install 'vostrack\[formats\]'"):
        to_detections(np.ones((4, 4), np.uint8))
