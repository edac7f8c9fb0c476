"""What ``vostrack track`` says, and the script that is the same function."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from vostrack.cli import main
from vostrack.cli.form_flags import flags_of
from vostrack.cli.track import TrackCommand


def test_quiet_and_verbose(
    settings: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*flags: str) -> tuple[str, str]:
        number = len(list(tmp_path.iterdir()))
        argv = ["track", "--video", settings["video"], "--first-mask", *settings["first_mask"]]
        argv += [
            "--output",
            str(tmp_path / f"q{number}"),
            "--weights",
            settings["weights"],
            "--end",
            "2",
        ]
        argv += ["--object-steps", "1", "--foreground-steps", "0", "--overlay", *flags]
        assert main(argv) == 0
        captured = capsys.readouterr()
        return captured.out, captured.err

    out, _ = said()
    assert "2 frames, 2 objects" in out
    assert "overlay.mp4" in out
    assert said("--quiet") == ("", "")
    assert len(said("--verbose")[1]) > len(said()[1])


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["track", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for flag in flags_of(TrackCommand):
        assert "--" + flag.name.replace("_", "-") in text
    assert text.index("Example: vostrack track --video") < text.index("input options")
    for group in ("input", "object", "method", "output", "tracker", "spn", "hough"):
        assert f"{group} options" in text


def test_the_script_is_the_same_function(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Path(__file__).parents[2] / "scripts" / "track.py"
    argv = ["track.py", "--video", settings["video"], "--first-mask", *settings["first_mask"]]
    argv += [
        "--output",
        str(tmp_path / "o"),
        "--weights",
        settings["weights"],
        "--end",
        "2",
        "--quiet",
    ]
    argv += ["--object-steps", "1", "--foreground-steps", "0"]
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(script), run_name="__main__")
    assert stop.value.code == 0
    assert len(list((tmp_path / "o" / "masks").iterdir())) == 2
