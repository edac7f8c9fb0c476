"""What is said when there is no room for a file, or for what is printed."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vostrack.cli import main
from vostrack.files import atomic_path
from vostrack.masks import write_label_map
from vostrack.runs import folder as folder_module
from vostrack.runs.saved_state import write_state


class Full(io.StringIO):
    """Standard output on a full disk: what was printed waits, and fails again."""

    def write(self, text: str) -> int:
        self.flush()
        return 0

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class FullAtTheEnd(io.StringIO):
    """Standard output with a buffer, which is written when the command has ended."""

    def flush(self) -> None:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))


@pytest.fixture
def argv(settings: dict[str, Any], tmp_path: Path) -> list[str]:
    flags = ["--video", settings["video"], "--first-mask", *settings["first_mask"]]
    flags += ["--weights", settings["weights"], "--foreground-steps", "1", "--object-steps", "2"]
    flags += ["--no-overlay", "--refiner", "none", "--quiet"]
    return ["track", *flags, "--output", str(tmp_path / "out")]


@contextmanager
def files_of(size: int) -> Iterator[None]:
    """Let no file grow beyond so many bytes, as ``ulimit -f`` and FAT32 do."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_is_too_large_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_label_map(tmp_path / "masks" / "00000.png", np.eye(50, dtype=np.uint8))
    made = tmp_path / "made.json"
    with files_of(20):
        status = main(
            ["convert", str(tmp_path / "masks"), "--to", "coco", "--output", str(made), "--quiet"]
        )
    assert status == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {made}: too large for its disk, or for a limit")
    assert "; raise the limit (ulimit -f), or use a disk" in said
    assert not made.exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG])
def test_how_to_go_on_is_said_in_flags(
    number: int,
    argv: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    calls: list[Path] = []

    def full(path: Path, content: Any) -> None:
        calls.append(path)
        if len(calls) < 4:
            write_state(path, content)
            return
        with atomic_path(path):
            raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(folder_module, "write_state", full)
        assert main(argv) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {tmp_path / 'out' / '.state' / 'frame.pt'}: ")
    assert "frames finished: " in said or "1 frame finished: " in said
    assert said.endswith(", then continue the run with --resume\n")
    assert main([*argv, "--resume"]) == 0


@pytest.mark.parametrize(
    ("stream", "reason"),
    [(Full, "no space is left; free some space"), (FullAtTheEnd, "too large for its disk")],
)
def test_standard_output_is_named(
    stream: Callable[[], io.StringIO],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_label_map(tmp_path / "masks" / "00000.png", np.eye(9, dtype=np.uint8))
    made = tmp_path / "made.json"
    monkeypatch.setattr(sys, "stdout", stream())
    command = ["convert", str(tmp_path / "masks"), "--to", "coco", "--output", str(made)]
    assert main(command) == 1
    assert capsys.readouterr().err.startswith(f"error: standard output: {reason}")
    assert made.is_file()


def test_a_reader_who_has_gone_gets_no_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    monkeypatch.setattr(sys, "stderr", Gone())
    assert main(["convert", str(tmp_path / "none"), "--to", "coco"]) == 2


def test_a_place_that_takes_no_file_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_label_map(tmp_path / "masks" / "00000.png", np.eye(8, dtype=np.uint8))
    target = tmp_path / "out.json"
    replace = Path.replace

    def refuse(path: Path, place: Path) -> Path:
        if place == target:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return replace(path, place)

    monkeypatch.setattr(Path, "replace", refuse)
    assert main(["convert", str(tmp_path / "masks"), "--to", "coco", "--output", str(target)]) == 1
    said = capsys.readouterr().err
    assert f"error: {target}: Permission denied; check the path, and that you" in said
