"""Stopping and going on: Ctrl-C, a kill, and what must not be mixed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vostrack.cli import main
from vostrack.errors import InputError
from vostrack.masks import read_label_map
from vostrack.runs import clip as clip_module
from vostrack.runs.saved_state import read_state, write_state
from vostrack.tracking.tracker import Tracker

Make = Callable[..., Any]


def all_masks(output: Path) -> list[Any]:
    return [read_label_map(p) for p in sorted((output / "masks").iterdir())]


def interrupt_after(monkeypatch: pytest.MonkeyPatch, frames: int) -> None:
    """Make the tracker behave as if Ctrl-C was pressed in frame number ``frames`` + 1."""
    original, count = Tracker.step, 0

    def step(self: Tracker, frame: Any) -> Any:
        nonlocal count
        count += 1
        if count > frames:
            raise KeyboardInterrupt
        return original(self, frame)

    monkeypatch.setattr(Tracker, "step", step)


@pytest.mark.parametrize("middle", [False, True])
@pytest.mark.parametrize("stop", [0, 1, 3])
def test_ctrl_c_then_resume_gives_the_same(
    settings: dict[str, Any],
    command: Make,
    clip_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop: int,
    middle: bool,
) -> None:
    if middle:
        truth = str(clip_folder / "truth" / "00002.png")
        settings = {**settings, "first_mask": (truth,), "first_mask_frame": 2}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert command(**settings, output=whole).run() == 0
    with monkeypatch.context() as patched:
        interrupt_after(patched, stop)
        with pytest.raises(KeyboardInterrupt, match="`resume=True`"):
            command(**settings, output=cut).run()
    assert len(all_masks(cut)) == stop + 1
    assert json.loads((cut / "run.json").read_text())["status"] == "interrupted"
    assert len(json.loads((cut / "masks.json").read_text())["images"]) == stop + 1
    assert command(**settings, output=cut, resume=True).run() == 0
    for one, other in zip(all_masks(whole), all_masks(cut), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (whole / "masks.json").read_text() == (cut / "masks.json").read_text()
    assert sorted(p.name for p in whole.iterdir()) == sorted(p.name for p in cut.iterdir())


def test_resume_does_not_fine_tune_again(
    settings: dict[str, Any], command: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        interrupt_after(patched, 1)
        with pytest.raises(KeyboardInterrupt):
            command(**settings, output=tmp_path / "o").run()

    def refuse(*_: Any) -> None:
        raise AssertionError("fine-tuned again")

    monkeypatch.setattr(Tracker, "start", refuse)
    assert command(**settings, output=tmp_path / "o", resume=True).run() == 0


def test_resume_refuses_other_settings(
    settings: dict[str, Any], command: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        interrupt_after(patched, 1)
        with pytest.raises(KeyboardInterrupt):
            command(**settings, output=tmp_path / "o").run()
    changed = {**settings, "stride": 2, "output": tmp_path / "o", "resume": True}
    with pytest.raises(ValueError, match=r"stride was 1.*is 2"):
        command(**changed).run()


@pytest.mark.parametrize("name", ["frame.pt", "start.pt"])
def test_resume_refuses_the_state_of_another_version_and_a_damaged_one(
    settings: dict[str, Any],
    command: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    with monkeypatch.context() as patched:
        interrupt_after(patched, 1)
        with pytest.raises(KeyboardInterrupt):
            command(**settings, output=tmp_path / "o").run()
    path = tmp_path / "o" / ".state" / name

    def refused(words: str) -> None:
        before = sorted(p.name for p in (tmp_path / "o").rglob("*"))
        with pytest.raises(InputError, match=rf"{words}.*`overwrite=True`"):
            command(**settings, output=tmp_path / "o", resume=True).run()
        assert sorted(p.name for p in (tmp_path / "o").rglob("*")) == before

    whole = read_state(path)
    state = whole["tracker"] if name == "frame.pt" else whole
    del state["format"]
    state.pop("last_slots", None)  # As the first version wrote it.
    write_state(path, whole)
    refused(r"format \d+, got 1")
    state["format"] = 1000
    write_state(path, whole)
    refused(r"format \d+, got 1000")
    for content in (b"", b"no state"):
        path.write_bytes(content)
        refused(r"is damaged \(\w+\)")
    assert command(**settings, output=tmp_path / "o", overwrite=True).run() == 0


def test_resume_needs_something_to_resume(
    settings: dict[str, Any], command: Make, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="no interrupted run"):
        command(**settings, output=tmp_path / "new", resume=True).run()
    assert not (tmp_path / "new").exists()
    assert command(**settings, output=tmp_path / "done").run() == 0
    with pytest.raises(ValueError, match="leave one of them out"):
        command(**settings, output=tmp_path / "done", resume=True, overwrite=True)


def test_resuming_a_complete_run_changes_nothing(
    settings: dict[str, Any],
    command: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("tracked again")

    settings = {**settings, "quiet": False, "output": tmp_path / "o"}
    assert command(**settings).run() == 0
    said = capsys.readouterr().out
    before = {p: p.read_bytes() for p in (tmp_path / "o").rglob("*") if p.is_file()}
    monkeypatch.setattr(Tracker, "start", refuse)
    with caplog.at_level("INFO", "vostrack"):
        assert command(**settings, resume=True).run() == 0
    assert "is complete; nothing is left to do" in caplog.text
    assert capsys.readouterr().out == said
    assert {p: p.read_bytes() for p in (tmp_path / "o").rglob("*") if p.is_file()} == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stride": 2}, r"stride was 1 in the complete run and is 2 now"),
        ({"overlay": True}, r"is complete, but overlay\.mp4 is missing; `overwrite=True`"),
        ({"export": ("coco",)}, r"without the export coco; make it with `vostrack convert .*coco`"),
    ],
)
def test_what_a_complete_run_lacks_is_said(
    changes: dict[str, Any],
    words: str,
    settings: dict[str, Any],
    command: Make,
    tmp_path: Path,
) -> None:
    settings = {**settings, "output": tmp_path / "o"}
    assert command(**settings).run() == 0
    with pytest.raises(InputError, match=f"^resume: .*{words}"):
        command(**{**settings, **changes}, resume=True).run()


def test_a_complete_run_that_is_not_whole_is_not_resumed(
    settings: dict[str, Any], command: Make, tmp_path: Path
) -> None:
    settings = {**settings, "output": tmp_path / "o"}
    assert command(**settings).run() == 0
    path = tmp_path / "o" / "run.json"
    record = json.loads(path.read_text())
    for changes, words in (
        ({"versions": {"vostrack": "0.1"}}, r"vostrack 0\.1 wrote it and this is"),
        ({"versions": 3}, r"run\.json is damaged"),
        ({"objects": 3}, r"run\.json is damaged"),
    ):
        path.write_text(json.dumps({**record, **changes}))
        with pytest.raises(InputError, match=f"^resume: .*{words}.*`overwrite=True`"):
            command(**settings, resume=True).run()
    path.write_text(json.dumps(record))
    (tmp_path / "o" / "masks" / "00003.png").unlink()
    with pytest.raises(InputError, match=r"masks/00003\.png is missing"):
        command(**settings, resume=True).run()


def test_resume_refuses_a_folder_of_version_0_1(
    settings: dict[str, Any],
    command: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with monkeypatch.context() as patched:
        interrupt_after(patched, 1)
        with pytest.raises(KeyboardInterrupt):
            command(**settings, output=tmp_path / "o").run()
    state = tmp_path / "o" / ".state"
    (state / "start.pt").rename(state / "learnt.pt")
    stored = json.loads((state / "settings.json").read_text())
    (state / "settings.json").write_text(json.dumps(stored["settings"]))
    argv = ["track", "--video", settings["video"], "--first-mask", *settings["first_mask"]]
    assert main([*argv, "--output", str(tmp_path / "o"), "--resume", "--quiet"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: --resume: ")
    assert "vostrack 0.1 wrote it" in said
    assert "--overwrite" in said


def test_ctrl_c_while_fine_tuning_leaves_nothing(
    settings: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Tracker, "start", stop)
    argv = ["track", "--video", settings["video"], "--first-mask", *settings["first_mask"]]
    argv += ["--weights", settings["weights"], "--quiet", "--output", str(tmp_path / "o")]
    assert main(argv) == 130
    assert "nothing was written" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_ctrl_c_while_writing_the_overlay_can_be_resumed(
    settings: dict[str, Any], command: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**settings, "overlay": True}

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(clip_module, "write_overlay", stop)
        with pytest.raises(KeyboardInterrupt, match="6 of 6"):
            command(**settings, output=tmp_path / "o").run()
    assert command(**settings, output=tmp_path / "o", resume=True).run() == 0
    assert (tmp_path / "o" / "overlay.mp4").is_file()
    assert not (tmp_path / "o" / ".state").exists()


def test_a_killed_process_can_be_resumed(
    settings: dict[str, Any], command: Make, tmp_path: Path
) -> None:
    """SIGKILL leaves no time to tidy up."""
    argv = ["--video", settings["video"], "--first-mask", *settings["first_mask"]]
    argv += ["--weights", settings["weights"], "--foreground-steps", "1", "--object-steps", "2"]
    argv += ["--no-overlay", "--refiner", "none"]
    code = (
        "import sys, time\n"
        "from vostrack.tracking.tracker import Tracker\n"
        "original = Tracker.step\n"
        "def slow(self, frame):\n"
        "    time.sleep(0.3)\n"
        "    return original(self, frame)\n"
        "Tracker.step = slow\n"
        "from vostrack.cli import main\n"
        f"sys.exit(main(['track', *{argv!r}, '--quiet', '--output', {str(tmp_path / 'cut')!r}]))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.time() + 120
    while not (tmp_path / "cut" / "masks" / "00002.png").is_file():
        assert process.poll() is None, "ended before it could be killed"
        assert time.time() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    whole = {**settings, "output": tmp_path / "whole"}
    assert command(**whole).run() == 0
    assert len(all_masks(tmp_path / "cut")) < 6
    assert command(**{**settings, "output": tmp_path / "cut", "resume": True}).run() == 0
    for one, other in zip(all_masks(tmp_path / "whole"), all_masks(tmp_path / "cut"), strict=True):
        np.testing.assert_array_equal(one, other)
