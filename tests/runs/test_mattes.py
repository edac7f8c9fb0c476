"""The mattes that a run writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from vostrack import ClipRequest
from vostrack.arrays import UInt8Array
from vostrack.runs.clip import track_clip
from vostrack.runs.matte import frame_mattes

Make = Callable[..., ClipRequest]


def mattes(request: ClipRequest, number: int = 1) -> list[UInt8Array]:
    return [
        np.array(Image.open(p)) for p in sorted((request.output / f"mattes/{number}").iterdir())
    ]


def test_the_first_frame_is_made_like_the_others(request_for: Make, project: Path) -> None:
    for path in (project / "frames").iterdir():
        image = Image.open(path).resize((32, 24), Image.Resampling.BOX)
        image.resize((64, 48), Image.Resampling.BICUBIC).save(path)
    request = request_for(save_mattes=True)
    track_clip(request)
    soft = [int(((matte > 20) & (matte < 235)).sum()) for matte in mattes(request)]
    assert len(soft) == 6
    assert min(soft) > 50
    assert soft[0] < 2 * soft[1] < 4 * soft[0]


def test_a_soft_first_mask_is_the_first_matte(request_for: Make, project: Path) -> None:
    drawn = np.zeros((48, 64), np.uint8)
    drawn[12:36, 8:28] = 255
    drawn[12:36, 8] = drawn[12:36, 27] = 70
    drawn[12, 8:28] = drawn[35, 8:28] = 150
    drawn[12:36, 9] = 200
    Image.fromarray(drawn).save(project / "mask.png")
    request = request_for(save_mattes=True, end=2)
    track_clip(request)
    first, second = mattes(request)
    assert (first == drawn).all()
    assert (second != drawn).any()


def test_objects_that_touch_share_their_edge() -> None:
    image = np.full((40, 60, 3), 90, np.uint8)
    labels = np.zeros((40, 60), np.uint8)
    labels[10:30, 10:30], labels[10:30, 30:50] = 3, 7
    alphas = frame_mattes(image, labels, (3, 5, 7))
    total = alphas.sum(axis=0)
    assert total.max() <= 1 + 1e-6
    assert total[14:26, 14:46].min() > 0.95
    assert not alphas[1].any()
    assert alphas[0, 20, 15] == 1
    assert alphas[2, 20, 45] == 1
