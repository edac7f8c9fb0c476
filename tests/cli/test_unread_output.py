"""Whoever reads what a command prints may go, as ``head`` does: the work is done, and counts."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vostrack.cli import main
from vostrack.masks import write_label_map


class Gone(io.StringIO):
    """A pipe whose reader has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class GoneAtTheEnd(io.StringIO):
    """The same, with a buffer that is written when the command has ended."""

    def flush(self) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


@pytest.fixture
def convert(tmp_path: Path) -> list[str]:
    write_label_map(tmp_path / "masks" / "00000.png", np.eye(9, dtype=np.uint8))
    made = str(tmp_path / "made.json")
    return ["convert", str(tmp_path / "masks"), "--to", "coco", "--output", made]


@pytest.mark.parametrize("name", ["stdout", "stderr"])
@pytest.mark.parametrize("stream", [Gone, GoneAtTheEnd])
def test_results_that_are_written_are_a_success(
    name: str,
    stream: type[io.StringIO],
    convert: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed = stream()
    monkeypatch.setattr(sys, name, closed)
    assert main(convert) == 0
    assert (tmp_path / "made.json").is_file()
    assert main(convert) == 2  # as ever: the file is there already
    assert getattr(sys, name) is closed


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize(
    ("more", "status"), [((), 0), (("--help",), 0), (("--frames", "two"), 2), (("--to", "so"), 2)]
)
def test_the_exit_status_of_a_process_in_a_pipe(
    more: tuple[str, ...], status: int, buffered: bool, convert: list[str]
) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": "" if buffered else "1"}
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "vostrack", *convert, *more],
        stdout=writing,
        stderr=writing,
        env=environment,
        check=False,
    )
    os.close(writing)
    assert done.returncode == status


def test_names_that_the_terminal_cannot_show_are_printed_with_escapes(
    convert: list[str], tmp_path: Path
) -> None:
    made = tmp_path / "é.json"
    done = subprocess.run(
        [sys.executable, "-m", "vostrack", *convert, "--output", str(made)],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert r"\xe9.json" in done.stdout
