"""Frames and masks that the tracker rejects, and the hint that fits each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vostrack.errors import InputError
from vostrack.masks import FirstMask, check_first_mask
from vostrack.tracking.edited_video import EditedVideo
from vostrack.tracking.frame_input import check_frame, check_mask
from vostrack.tracking.video import Position, track_video, visited_frames
from vostrack.video import Frame

FRAME = np.zeros((20, 30, 3), np.uint8)
MASK = np.zeros((20, 30), np.uint8)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (None, r"got None; check that the frame was read"),
        (np.zeros((20, 30, 4), np.uint8), r"\(20, 30, 4\); drop the alpha .*COLOR_BGRA2RGB"),
        (
            torch.zeros(3, 20, 30),
            r"permute\(1, 2, 0\)\.mul\(255\)\.round\(\)\.byte\(\)\.cpu\(\)\.numpy",
        ),
        (torch.full((3, 20, 30), 9.5), r"permute\(1, 2, 0\)\.round\(\)\.byte\(\)\.cpu"),
        (
            torch.full((20, 30, 3), 300.0),
            r"; scale the values, .* in 300\.\.300, to 0\.\.255",
        ),
        (torch.full((20, 30, 3), torch.nan), "; replace NaN and infinity first; see torch"),
        (torch.full((20, 30, 3), -1), r"; scale the values, which lie in -1\.\.-1, to 0\.\.255"),
        (torch.ones(20, 30, 3, dtype=torch.long), r"with frame\.byte\(\)\.cpu\(\)\.numpy\(\)$"),
        (torch.ones(20, 30, 3, dtype=torch.bool), r"with frame\.byte\(\)\.mul\(255\)\.cpu"),
        (torch.zeros(0, 30, 3), "cut out"),
        (torch.zeros(20, 30, 3, dtype=torch.uint8), r"frame\.cpu\(\)\.numpy\(\)$"),
        (np.zeros((1, 20, 30, 3), np.uint8), "one frame at a time"),
        (np.zeros((3, 20, 30), np.uint8), r"moveaxis\(frame, 0, -1\)"),
        (np.zeros((20, 30), np.uint8), r"; convert grayscale with numpy\.stack[^,]*, axis=-1\)$"),
        (np.zeros((20, 30, 1), np.uint8), r"; convert grayscale with numpy\.repeat"),
        (np.zeros((20, 30, 2), np.uint8), "; pass an image of three colours$"),
        (np.zeros((20, 30, 3)), r"; convert floats in \[0, 1\] with \(frame \* 255\)"),
        (
            np.full((20, 30, 3), 9.5),
            r"; round and convert values in 0\.\.255 with frame\.round\(\)\.astype\('uint8'\)$",
        ),
        (
            np.full((20, 30, 3), 300.5),
            r"; scale the values, which lie in 300\.5\.\.300\.5, to 0\.\.255 f",
        ),
        (np.full((20, 30, 3), -4), r"; scale the values, which lie in -4\.\.-4, to 0\.\.255 f"),
        (np.full((20, 30, 3), np.nan), "; replace NaN and infinity first"),
        (np.full((20, 30, 3), 65535, np.uint16), r"; scale 16 bits down with \(frame // 257\)"),
        (np.full((20, 30, 3), 65535, ">u2"), r"; scale 16 bits down with \(frame // 257\)\.astype"),
        # As they are, these would become black.
        (np.full((20, 30, 3), 255, np.uint16), r"; convert values in 0\.\.255 with frame\.astype"),
        (
            np.full((20, 30, 3), 1023, np.uint16),
            r"; scale the values, which lie in 1023\.\.1023",
        ),
        (np.zeros((20, 30, 3), np.int64), r"; convert values in 0\.\.255 with frame\.astype"),
        (np.zeros((20, 30, 3), bool), r"; convert it with frame\.astype\('uint8'\) \* 255$"),
        (np.full((20, 30), 9000, np.uint16), r"; convert grayscale .*, then scale 16 bits"),
        ("clip.mp4", r"got str; open the file with `vostrack\.open_source`"),
        (Path("clip.mp4"), r"; open the file with `vostrack\.open_source`"),
        (Frame(0, 0.0, FRAME), r"got Frame; pass the image of the frame: frame\.image"),
        (np.zeros((0, 30, 3), np.uint8), "cut out"),
        ([[1]], "got list; convert it with numpy.asarray"),
    ],
)
def test_frames(frame: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        check_frame(frame)
    assert "expected an array (H, W, 3) uint8 in RGB order" in str(caught.value)


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (None, "got None; check that the mask was read"),
        (torch.zeros(20, 30), r"a torch tensor of shape \(20, 30\); .*mask\.cpu\(\)\.numpy\(\)"),
        ("mask.png", r"got str; read the file with `vostrack\.read_first_mask`"),
        ([[0]], "got list"),
        (np.where(np.eye(20, 30) > 0, 255, 0), r"255 is void, not white: pass mask > 0"),
        (MASK, "mark an object with an id"),
        (np.zeros((20, 30, 1), np.uint8), r"mask\[\.\.\., 0\]"),
        (np.zeros((20, 30, 3), np.uint8), "turns colours into ids"),
        (np.zeros((1, 20, 30), np.uint8), r"mask\[0\]"),
        (np.zeros((4, 20, 30), bool), "check_first_mask"),
        (np.zeros((30, 20), np.uint8), "swapped"),
        (np.zeros((10, 15), np.uint8), "full size"),
        (np.zeros((20, 30), np.float32), "float32; .*threshold"),
        (np.full((20, 30), 256), "renumber"),
    ],
)
def test_masks(mask: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_mask(mask, FRAME)


def test_a_first_mask_is_accepted_whole() -> None:
    labels = MASK.copy()
    labels[3:15, 3:15] = 7
    mask = check_first_mask(labels)
    assert isinstance(mask, FirstMask)
    np.testing.assert_array_equal(check_mask(mask, FRAME), labels)
    np.testing.assert_array_equal(check_first_mask(mask).labels, labels)
    with pytest.raises(InputError, match="full size"):
        check_mask(check_first_mask(labels[:16]), FRAME)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (None, "got None; open a video with"),
        ("clip.mp4", r"got str; open it with `vostrack\.open_source\('clip\.mp4'\)`"),
        (Path("clip.mp4"), r"open it with `vostrack\.open_source\('clip\.mp4'\)`"),
        ([FRAME], r"got list; wrap the frames with `vostrack\.open_source\(frames\)`"),
        (FRAME[None], r"got ndarray; wrap the frames"),
        ((frame for frame in [FRAME]), "got generator; wrap the frames"),
        (torch.zeros(2, 20, 30, 3), r"a torch tensor of shape \(2, 20, 30, 3\); wrap the frames"),
    ],
)
def test_what_is_no_source(source: Any, words: str) -> None:
    tracker: Any = None  # it is not asked
    for use in (
        lambda: next(track_video(tracker, source, MASK)),
        lambda: visited_frames(source, Position(0, "forward")),
        lambda: EditedVideo(tracker, source),
    ):
        with pytest.raises(InputError, match=f"^source: expected frames as .*{words}"):
            use()
