"""What the server tells of frames: their names, their shape, and their layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.studio.conftest import write_frames
from tests.studio.damaged_video import cut, damage, write_avi
from vostrack.errors import InputError
from vostrack.studio.frames import VideoFrames, video_facts


def test_the_mask_of_a_frame_is_called_by_the_frame(client: Any, tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "plates", 3)
    for path in sorted(folder.iterdir()):
        path.rename(folder / f"plate.{1001 + int(path.stem)}.png")
    client.post("/api/open", json={"path": "plates"})
    answer = client.get("/api/frames/1/mask.png")
    assert 'filename="mask_1002.png"' in answer.headers["content-disposition"]


def test_the_page_is_told_the_shape_of_the_pixels(client: Any) -> None:
    assert client.get("/api/state").json()["video"]["pixel_aspect"] == 1.0


def test_the_page_is_told_that_a_video_is_cut(client: Any, tmp_path: Path) -> None:
    write_avi(tmp_path / "cut.avi", cut)
    client.post("/api/open", json={"path": "cut.avi"})
    video = client.get("/api/state").json()["video"]
    assert video["trouble"] == [
        f"it is cut or damaged: only its first {video['count']} frames can be read"
    ]


def test_damage_is_told_when_it_is_met_and_kept(tmp_path: Path) -> None:
    path = write_avi(tmp_path / "damaged.avi", damage)
    told: list[tuple[str, ...]] = []
    frames = VideoFrames(video_facts(str(path)), told.append)
    assert not frames.trouble
    assert len(list(frames.between(0, 19))) >= 15
    assert frames.trouble[0].startswith("pictures are missing or wrong at 0.2")
    assert told[-1] == frames.trouble
    before = len(told)
    frames.picture(8)
    assert len(told) == before


def test_a_frame_that_cannot_be_decoded_is_not_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_frames(tmp_path / "plates", 6)
    frames = VideoFrames(video_facts(str(folder)))
    read = frames.source.read
    monkeypatch.setattr(
        frames.source, "read", lambda a, b: (f for f in read(a, b) if f.index not in (2, 3))
    )
    assert [int(frames.image(k)[0, 0, 0]) for k in (0, 1)] == [0, 1]
    for number in (2, 3):
        with pytest.raises(InputError, match=f"frame: {number} of .* cannot be read"):
            frames.image(number)
    assert [int(frames.image(k)[0, 0, 0]) for k in (4, 5)] == [4, 5]
