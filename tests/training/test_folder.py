"""One training at a time writes to a folder."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.training.test_checkpoint import run
from vostrack.errors import InputError
from vostrack.files import exclusive_folder
from vostrack.training.folder import training_folder


@contextmanager
def another_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Keep the folder in another process."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom vostrack.files import exclusive_folder\n"
        "with exclusive_folder(Path(sys.argv[1])):\n    print('kept', flush=True)\n    input()\n"
    )
    command = [sys.executable, "-c", code, str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "kept\n"
        yield process


def test_a_second_training_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    with another_process(folder) as process:
        words = "another run is writing to .*runs; wait for it"
        with pytest.raises(InputError, match=words), training_folder(folder):
            pass
        process.send_signal(signal.SIGKILL)
    with training_folder(folder):  # what a dead process kept is free
        pass


def test_the_loop_keeps_its_folder(tmp_path: Path) -> None:
    with exclusive_folder(tmp_path):
        with pytest.raises(InputError, match="another run is writing to"):
            run(tmp_path)
        assert not (tmp_path / "log.jsonl").exists()
    with training_folder(tmp_path):
        run(tmp_path)


def test_a_block_inside_another_goes_through(tmp_path: Path) -> None:
    with training_folder(tmp_path), training_folder(tmp_path / "sub" / ".."):
        refused = pytest.raises(InputError, match="another run")
        with refused, exclusive_folder(tmp_path):
            pass
    with exclusive_folder(tmp_path):
        pass


def test_the_other_processes_of_torchrun_do_not_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with exclusive_folder(tmp_path):
        monkeypatch.setenv("RANK", "1")
        with training_folder(tmp_path):
            pass


def test_a_folder_that_stays_empty_goes_again(tmp_path: Path) -> None:
    with training_folder(tmp_path / "new"):
        assert (tmp_path / "new").is_dir()
    assert not (tmp_path / "new").exists()
    with training_folder(tmp_path / "new"):
        (tmp_path / "new" / "log.jsonl").touch()
    assert (tmp_path / "new").is_dir()
    (tmp_path / "old").mkdir()
    with training_folder(tmp_path / "old"):
        pass
    assert (tmp_path / "old").is_dir()


@pytest.mark.parametrize("below", ["", "runs"])
def test_a_file_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    words = r"output: .*file.* is not a folder; give the name of a folder as `output`"
    with pytest.raises(InputError, match=words), training_folder(tmp_path / "file" / below):
        pass
