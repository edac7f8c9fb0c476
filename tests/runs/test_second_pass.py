"""A clip that is tracked twice, on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from vostrack import ClipRequest, TrackerOptions, track_clip
from vostrack.masks import write_label_map


class Listening:
    """An observer that notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int, int | None, str]] = []

    def finetuning(self, model: str, done: int, total: int) -> None:
        self.heard.append(("fine-tuning", done, total, model))

    def first_pass(self, done: int, total: int, name: str) -> None:
        self.heard.append(("first pass", done, total, name))

    def frame(self, done: int, total: int | None, name: str) -> None:
        self.heard.append(("frame", done, total, name))

    def writing(self, what: str) -> None: ...


def test_the_first_pass_is_told_and_recorded(tmp_path: Path) -> None:
    labels = np.zeros((40, 48), np.uint8)
    labels[10:30, 10:30] = 1
    (tmp_path / "frames").mkdir()
    for index in range(3):
        image = np.repeat(np.roll(labels, index, 1)[..., None] * 200, 3, 2)
        Image.fromarray(image).save(tmp_path / "frames" / f"{1001 + index}.png")
    write_label_map(tmp_path / "mask.png", labels)
    request = ClipRequest(
        video=str(tmp_path / "frames"),
        first_mask=(str(tmp_path / "mask.png"),),
        output=tmp_path / "out",
        preset="fast",
        overlay=False,
        options=TrackerOptions(object_steps=1, second_pass=True),
    )
    observer = Listening()
    summary = track_clip(request, observer)
    assert observer.heard[:3] == [
        ("fine-tuning", 1, 1, "objects"),
        ("first pass", 1, 2, "1002"),
        ("first pass", 2, 2, "1003"),
    ]
    assert observer.heard[-3:] == [("frame", k, 3, str(1000 + k)) for k in (1, 2, 3)]
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["settings"]["method"]["tracker"]["second_pass"] == 3
    assert run["seconds"]["first pass"] > 0
    own = sum(v for k, v in run["seconds"].items() if k not in ("fine-tuning", "first pass"))
    assert abs(summary.frame_seconds - own) < 1e-3
