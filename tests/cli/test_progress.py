"""Progress: a bar on a terminal, lines in a log, nothing where it is not wanted."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vostrack import ClipRequest, track_clip
from vostrack.cli import main
from vostrack.cli.progress import ClipProgress, show_training
from vostrack.masks import write_label_map
from vostrack.progress import ProgressLines, open_progress


def test_lines_come_at_growing_distances_and_at_the_end() -> None:
    seconds, stream = [0.0], io.StringIO()
    bar = ProgressLines(100, "frame", "tracking", stream=stream, clock=lambda: seconds[0])
    for _ in range(100):
        seconds[0] += 1
        bar.update()
    bar.close()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "tracking: 1 of 100 frames, 1 s, 99 s left"
    assert lines[1] == "tracking: 6 of 100 frames, 6 s, 94 s left"
    assert lines[-1] == "tracking: 100 of 100 frames, 100 s"
    assert [line.split()[1] for line in lines] == ["1", "6", "16", "36", "76", "100"]


def test_lines_of_unknown_length_and_of_a_part() -> None:
    stream = io.StringIO()
    with ProgressLines(None, "image", stream=stream) as bar:
        bar.update()
    assert stream.getvalue() == "1 image\n"
    seconds = [0.0]
    stream = io.StringIO()
    with ProgressLines(
        10, "step", "training", initial=4, stream=stream, clock=lambda: seconds[0]
    ) as resumed:
        seconds[0] = 3.0
        resumed.set_postfix("loss 0.5")
        resumed.update(3)
    assert stream.getvalue() == "training: 7 of 10 steps, 3 s, 3 s left, loss 0.5\n"


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pseudo terminals")
@pytest.mark.parametrize("columns", [0, 1, 39, 40, 80])
def test_a_terminal_without_room_for_a_bar_gets_lines(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl
    import struct
    import termios

    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    text = ""
    with os.fdopen(ours, "rb", buffering=0) as shown, os.fdopen(theirs, "w") as terminal:
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stderr", terminal)
            with open_progress(3, "frame", "tracking") as bar:
                for _ in range(3):
                    bar.update()
        while not any(end in text for end in ("3 of 3", "3/3")):
            text += shown.read(4096).decode()
    if columns >= 40:
        assert "3/3" in text
    else:
        assert text.split("\r\n")[:2] == ["tracking: 1 of 3 frames", "tracking: 3 of 3 frames"]


def test_a_stream_that_is_closed_or_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    assert isinstance(open_progress(3, "frame"), ProgressLines)


def test_training_says_its_loss(capsys: pytest.CaptureFixture[str]) -> None:
    for quiet in (False, True):
        with show_training(2, "step", quiet=quiet) as show:
            show(1, 0.25)
            show(2, 0.125)
    assert capsys.readouterr().err.splitlines() == [
        "training: 1 of 2 steps, loss 0.250",
        "training: 2 of 2 steps, loss 0.125",
    ]


class Gone(io.StringIO):
    """A stream whose reader goes after the first line, as ``head -1`` does; or a full disk."""

    def __init__(self, number: int, *, terminal: bool) -> None:
        super().__init__()
        self.number, self.terminal = number, terminal

    def isatty(self) -> bool:
        return self.terminal

    def fileno(self) -> int:
        return 2

    def write(self, text: str) -> int:
        if self.getvalue():
            raise OSError(self.number, os.strerror(self.number))
        return super().write(text)


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("number", [errno.EPIPE, errno.ENOSPC])
def test_progress_that_nobody_reads_ends_no_work(
    number: int, terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Gone(number, terminal=terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(os, "get_terminal_size", lambda _=2: os.terminal_size((80, 24)))
    with ClipProgress() as progress:
        progress.finetuning("objects", 1, 1)
        for done in (1, 2, 3):
            progress.frame(done, 3, "1001")
        progress.writing("masks.json")
    with open_progress(2, "frame", "tracking") as bar:
        bar.update()
        bar.write("a line of its own")
    assert stream.getvalue()


@pytest.mark.parametrize("quiet", [False, True])
def test_track_in_a_log(quiet: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    labels = np.zeros((40, 48), np.uint8)
    labels[10:30, 10:30] = 1
    for index in range(3):
        Image.fromarray(np.repeat(labels[..., None] * 200, 3, 2)).save(
            frames / f"{1001 + index}.png"
        )
    write_label_map(tmp_path / "mask.png", labels)
    command = ["track", "--video", str(frames), "--first-mask", str(tmp_path / "mask.png")]
    command += ["--output", str(tmp_path / "out"), "--preset", "fast", "--no-overlay"]
    assert main([*command, *(["--quiet"] if quiet else [])]) == 0
    lines = capsys.readouterr().err.splitlines()
    if quiet:
        assert lines == []
    else:
        assert "tracking: 1 of 3 frames, 1001" in lines
        done = next(line for line in lines if line.startswith("tracking: 3 of 3 frames"))
        assert done.endswith(", 1003")
        assert lines[-1] == "writing masks.json"


def test_two_passes_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    with ClipProgress() as progress:
        progress.finetuning("objects", 1, 1)
        progress.first_pass(1, 2, "1002")
        progress.finetuning("objects", 1, 1)
        progress.frame(1, 3, "1001")
    assert capsys.readouterr().err.splitlines() == [
        "fine-tuning objects: 1 of 1 step",
        "first pass: 1 of 2 frames, 1002",
        "fine-tuning objects: 1 of 1 step",
        "second pass: 1 of 3 frames, 1001",
    ]


class Stopping:
    """An observer that stops the run after two frames, as Ctrl-C does."""

    def finetuning(self, model: str, done: int, total: int) -> None: ...

    def first_pass(self, done: int, total: int, name: str) -> None: ...

    def frame(self, done: int, total: int | None, name: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    def writing(self, what: str) -> None: ...


def test_ctrl_c_names_the_finished_frames(tmp_path: Path) -> None:
    labels = np.zeros((40, 48), np.uint8)
    labels[10:30, 10:30] = 1
    (tmp_path / "frames").mkdir()
    for index in range(3):
        image = np.repeat(labels[..., None] * 200, 3, 2)
        Image.fromarray(image).save(tmp_path / "frames" / f"shot.{1001 + index}.png")
    write_label_map(tmp_path / "mask.png", labels)
    request = ClipRequest(
        video=str(tmp_path / "frames"),
        first_mask=(str(tmp_path / "mask.png"),),
        output=tmp_path / "out",
        preset="fast",
    )
    with pytest.raises(KeyboardInterrupt, match=r"2 of 3 frames finished.*1001 to 1002"):
        track_clip(request, Stopping())
