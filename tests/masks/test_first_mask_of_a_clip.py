"""A first mask that states its frame starts the run there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vostrack import ClipRequest, TrackerOptions
from vostrack.masks import encode_rle, read_label_map
from vostrack.runs.clip import track_clip


def test_coco_of_a_later_frame_is_tracked_from_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    truth = np.zeros((4, 48, 64), bool)
    (tmp_path / "frames").mkdir()
    for k in range(4):
        truth[k, 12:36, 8 + 4 * k : 28 + 4 * k] = True
        image = np.where(truth[k][..., None], (220, 40, 30), 90).astype(np.uint8)
        Image.fromarray(image).save(tmp_path / "frames" / f"{k:05d}.png")
    images = [{"id": k, "height": 48, "width": 64, "file_name": f"{k:05d}.png"} for k in range(4)]
    notes = [{"id": 1, "image_id": 2, "segmentation": encode_rle(truth[2])}]
    mask = tmp_path / "m.json"
    mask.write_text(json.dumps({"images": images, "annotations": notes}))
    request = ClipRequest(
        video=str(tmp_path / "frames"),
        first_mask=(str(mask),),
        output=tmp_path / "out",
        preset="fast",
        options=TrackerOptions(precision="fp32"),
        overlay=False,
        threads=1,
    )
    assert track_clip(request).frames == 4
    np.testing.assert_array_equal(read_label_map(tmp_path / "out/masks/00002.png"), truth[2])
    run = json.loads((tmp_path / "out/run.json").read_text())
    assert run["settings"]["first_mask_frame"] == 2
    assert "those of 00002.png are used for frame 2" in caplog.text
