"""What the server tells of frames: their names, their shape, and their layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.studio.conftest import write_frames


def test_the_mask_of_a_frame_is_called_by_the_frame(client: Any, tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "plates", 3)
    for path in sorted(folder.iterdir()):
        path.rename(folder / f"plate.{1001 + int(path.stem)}.png")
    client.post("/api/open", json={"path": "plates"})
    answer = client.get("/api/frames/1/mask.png")
    assert 'filename="mask_1002.png"' in answer.headers["content-disposition"]


def test_the_page_is_told_the_shape_of_the_pixels(client: Any) -> None:
    assert client.get("/api/state").json()["video"]["pixel_aspect"] == 1.0
