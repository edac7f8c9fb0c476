"""The masks of a short video, with everything that formats may lose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.masks.formats.variants import Save, saver
from vostrack.arrays import UInt8Array
from vostrack.masks import MaskFrame, MaskObject, VideoMasks

SIZE = (24, 36)
FRAMES = 5


def draw(position: int) -> UInt8Array:
    """Two parts and a hole in object 3, a small object 7 that frame 2 hides, some void."""
    labels = np.zeros(SIZE, np.uint8)
    labels[3:15, 2 + position : 14 + position] = 3
    labels[6:9, 6 + position : 9 + position] = 0
    labels[17:20, 3:8] = 3
    if position != 2:
        labels[12:22, 20 + position : 29 + position] = 7
    if position > 0:
        labels[:2, -4:] = 255
    return labels


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write text or JSON into the folder of the test."""
    return saver(tmp_path)


@pytest.fixture
def video() -> VideoMasks:
    """Frames shot.1001.png to shot.1005.png; objects "left" and "pferd süß"."""
    frames = tuple(MaskFrame(1001 + k, f"{1001 + k}", k / 25, named=True) for k in range(FRAMES))
    objects = (MaskObject(3, "left", "person"), MaskObject(7, "pferd süß", "horse"))
    return VideoMasks(SIZE, frames, objects, draw, "shot", 25.0)


@pytest.fixture
def counted(video: VideoMasks) -> VideoMasks:
    """The same masks in the frames of a video file, which are counted from 0."""
    frames = tuple(MaskFrame(k, f"{k:05d}", k / 25) for k in range(FRAMES))
    return replace(video, frames=frames, video="clip.mp4")


@pytest.fixture
def without_void(video: VideoMasks) -> VideoMasks:
    """The same masks without void."""
    return replace(video, read=lambda k: np.where(draw(k) == 255, 0, draw(k)).astype(np.uint8))


@pytest.fixture
def truth() -> Callable[[int], UInt8Array]:
    """Draw the label map of a frame."""
    return draw


@pytest.fixture
def same() -> Callable[[VideoMasks, VideoMasks], None]:
    """Check that masks are the same: sizes, frames, objects and every label map."""

    def check(one: VideoMasks, other: VideoMasks) -> None:
        assert (one.size, one.frames, one.objects) == (other.size, other.frames, other.objects)
        for k in range(len(other.frames)):
            np.testing.assert_array_equal(one.labels(k), other.labels(k))

    return check
