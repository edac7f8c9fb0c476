"""A run with masks of several frames, and resuming it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vostrack.masks import read_label_map, write_label_map
from vostrack.presets.options import TrackerOptions
from vostrack.runs.clip import track_clip
from vostrack.runs.request import ClipRequest
from vostrack.tracking.tracker import Tracker


@pytest.fixture
def small_clip(tmp_path: Path) -> Path:
    """frames/ and truth/ of two boxes that move towards each other, 6 frames of 48 x 96."""
    (tmp_path / "frames").mkdir()
    for index in range(6):
        image, labels = np.full((48, 96, 3), 90, np.uint8), np.zeros((48, 96), np.uint8)
        boxes = {1: (8 + 4 * index, (220, 40, 30)), 2: (64 - 4 * index, (30, 60, 220))}
        for number, (left, colour) in boxes.items():
            image[24 * number - 20 : 24 * number - 4, left : left + 20] = colour
            labels[24 * number - 20 : 24 * number - 4, left : left + 20] = number
        Image.fromarray(image).save(tmp_path / "frames" / f"{index:05d}.png")
        write_label_map(tmp_path / "truth" / f"{index:05d}.png", labels)
    return tmp_path


def masks_of(folder: Path) -> list[Any]:
    return [read_label_map(path) for path in sorted((folder / "masks").iterdir())]


@pytest.fixture
def request_of(small_clip: Path, tmp_path: Path) -> Any:
    """Make a request whose second object begins in frame 2; frame 4 corrects both."""
    truth = {t: read_label_map(small_clip / "truth" / f"{t:05d}.png") for t in (0, 2, 4)}
    given = {0: np.where(truth[0] == 1, 1, 0), 2: np.where(truth[2] == 2, 2, 0), 4: truth[4]}
    entries = []
    for number, labels in given.items():
        path = tmp_path / "given" / f"m{number}.png"
        write_label_map(path, labels.astype(np.uint8))
        entries.append(f"{number}={path}")

    def make(output: str, **changes: Any) -> ClipRequest:
        return ClipRequest(
            video=str(small_clip / "frames"),
            first_mask=tuple(entries),
            output=tmp_path / output,
            preset="fast",
            overlay=False,
            threads=1,
            options=TrackerOptions(precision="fp32"),
            **changes,
        )

    return make


def test_late_objects_corrections_and_resuming(
    request_of: Any, small_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = track_clip(request_of("whole"))
    assert summary.ids == (1, 2)
    whole = masks_of(summary.output)
    assert [set(np.unique(m)) <= {0, 1} for m in whole] == [True, True] + [False] * 4
    np.testing.assert_array_equal(whole[4], read_label_map(small_clip / "truth" / "00004.png"))
    run = json.loads((summary.output / "run.json").read_text())
    assert [len(entry["presence"]) for entry in run["objects"]] == [6, 4]
    assert set(run["settings"]["mask_pixels"]) == {"0", "2", "4"}
    assert len(run["settings"]["content"]["first_mask"]) == 3

    step, done = Tracker.step, 0

    def stopping(self: Tracker, frame: Any) -> Any:
        nonlocal done
        done += 1
        if done == 5:  # 1, 2, then 3 in advance, 3, then 4
            raise KeyboardInterrupt
        return step(self, frame)

    with monkeypatch.context() as patched:
        patched.setattr(Tracker, "step", stopping)
        with pytest.raises(KeyboardInterrupt, match="4 of 6 frames"):
            track_clip(request_of("cut"))
    resumed = track_clip(request_of("cut", resume=True))
    for one, other in zip(whole, masks_of(resumed.output), strict=True):
        np.testing.assert_array_equal(one, other)


def test_colours_are_the_same_objects_in_all_masks(small_clip: Path, tmp_path: Path) -> None:
    colours = {1: (200, 10, 10), 2: (10, 10, 200)}
    entries = []
    for frame, objects in ((0, (1, 2)), (4, (1,))):
        labels = read_label_map(small_clip / "truth" / f"{frame:05d}.png")
        picture = np.zeros((*labels.shape, 3), np.uint8)
        for number in objects:
            picture[labels == number] = colours[number]
        Image.fromarray(picture).save(tmp_path / f"m{frame}.png")
        entries.append(f"{frame}={tmp_path / f'm{frame}.png'}")
    summary = track_clip(
        ClipRequest(
            video=str(small_clip / "frames"),
            first_mask=tuple(entries),
            output=tmp_path / "out",
            preset="fast",
            overlay=False,
            threads=1,
        )
    )
    # Blue comes before red. Alone, red is the first object of its mask.
    assert summary.ids == (1, 2)
    for frame, result in enumerate(masks_of(summary.output)):
        truth = read_label_map(small_clip / "truth" / f"{frame:05d}.png")
        for number, place in ((2, truth == 1), (1, truth == 2)):
            assert (result == number)[place].mean() > 0.8, (frame, number)
