"""``vostrack studio`` as it is typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from vostrack.cli.form import parse_form
from vostrack.cli.studio import StudioCommand
from vostrack.errors import InputError


def parse(*words: str) -> StudioCommand:
    return parse_form(StudioCommand, list(words), "vostrack studio")


def test_the_video_may_be_left_out() -> None:
    assert parse().video is None
    assert parse("clip.mp4").video == "clip.mp4"


def test_folders_and_the_largest_upload() -> None:
    command = parse("clip.mp4", "--folders", "a", "b", "--largest-upload", "0.5", "--no-browser")
    assert command.folders == (Path("a"), Path("b"))
    assert command.largest_upload == 0.5
    assert not command.browser


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--project", "p"), "project: names the folder of a video"),
        (("--largest-upload", "0"), "largest_upload: expected more than 0 GB, got 0.0"),
        (("--port", "99999"), r"port: expected 0 \(a free one\) to 65535, got 99999"),
        (("--port", "-1"), "port: expected 0 .* got -1"),
        (("--host", "0.0.0.0"), "can be reached from other computers"),
        (("--folders", "nowhere"), "folders: expected existing folders"),
        (("--preset", "nope"), r"preset: expected one of fast, .*, got 'nope'"),
        (("--device", "nope"), "device: expected auto, cpu, cuda or cuda:N, got 'nope'"),
    ],
)
def test_what_cannot_be_is_refused(words: tuple[str, ...], message: str) -> None:
    pytest.importorskip("fastapi", reason="needs vostrack[studio]")
    with pytest.raises(InputError, match=message):
        parse(*words).run()
