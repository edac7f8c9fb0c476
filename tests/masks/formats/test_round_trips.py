"""What is written is read again: frames, times, objects, classes, void and every pixel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vostrack.masks import FORMATS, VideoMasks, export_results, read_results

Same = Callable[[VideoMasks, VideoMasks], None]
EXACT = ("coco", "youtube-vis")


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("kind", ["video", "counted", "without_void"])
def test_everything_comes_back(
    name: str, kind: str, request: pytest.FixtureRequest, tmp_path: Path, same: Same
) -> None:
    masks: VideoMasks = request.getfixturevalue(kind)
    target = tmp_path / f"made{FORMATS[name].suffix}"
    assert export_results(masks, name, target) == ()
    read = read_results(target)
    same(read, masks)
    assert (read.video, read.frame_rate) == (masks.video, masks.frame_rate)
    assert read.notes == ()
