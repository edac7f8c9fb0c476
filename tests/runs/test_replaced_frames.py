"""Frames that are replaced while a clip is tracked, or before its run goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.runs.conftest import write_clip
from vostrack import ClipRequest, InputError
from vostrack.cli.progress import ClipProgress
from vostrack.runs.clip import track_clip

Make = Callable[..., ClipRequest]


class Meanwhile(ClipProgress):
    """Does something with the second frame."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__(enabled=False)
        self.act = act

    def frame(self, done: int, total: int | None, name: str) -> None:
        if done == 2:
            self.act()


def warnings_of(request: ClipRequest) -> Any:
    return json.loads((request.output / "run.json").read_text())["warnings"]


@pytest.mark.parametrize("pattern", [False, True])
def test_frames_replaced_in_mid_run_are_told_of(
    pattern: bool, request_for: Make, project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    video = str(project / "frames") + ("/*.png" if pattern else "")
    request = request_for(video=video)
    track_clip(request)
    assert warnings_of(request) == []
    request = replace(request, overwrite=True)
    track_clip(request, Meanwhile(lambda: write_clip(project / "frames", shade=91)))
    words = "frames/00000.png and 5 more changed while the clip was tracked"
    assert words in caplog.text
    assert [words in text for text in warnings_of(request)] == [True]


def test_frames_replaced_in_mid_run_are_not_resumed(request_for: Make, project: Path) -> None:
    request = request_for()

    def act() -> None:
        write_clip(project / "frames", shade=91)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        track_clip(request, Meanwhile(act))
    assert "changed while" in warnings_of(request)[0]
    with pytest.raises(InputError, match="content of `video` has changed since"):
        track_clip(replace(request, resume=True))


def test_other_files_beside_the_frames_may_change(request_for: Make, project: Path) -> None:
    request = request_for()
    track_clip(request, Meanwhile(lambda: (project / "frames" / "notes.txt").write_text("a")))
    assert warnings_of(request) == []
