"""One training at a time writes to a folder, and none over what another one left."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.training.test_checkpoint import CONFIG, Line, build, refused, run, stored
from vostrack.errors import InputError
from vostrack.output_folder import exclusive_folder
from vostrack.training.folder import training_folder
from vostrack.training.loop import train
from vostrack.training.validation import Validation


@contextmanager
def another_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Keep the folder in another process."""
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from vostrack.output_folder import exclusive_folder\n"
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


@pytest.mark.parametrize("left", ["curves.json", "best.safetensors", "checkpoint-000002.pt"])
def test_what_a_training_left_is_not_replaced(tmp_path: Path, left: str) -> None:
    run(tmp_path, stop_after=2)
    (tmp_path / "checkpoint.pt").unlink()
    (tmp_path / "curves.json").rename(tmp_path / left)
    words = rf"output: .* holds {left}, log.jsonl, which .* replace, and no checkpoint.pt to go on"
    refused(tmp_path, words)


@pytest.mark.parametrize(
    "content", ["notes\n", '{"step": 1}\n', "[1, 2]\n", "{\n", "\n", b"\xff\xfe".decode("latin1")]
)
def test_a_log_of_something_else_is_kept(tmp_path: Path, content: str) -> None:
    (tmp_path / "log.jsonl").write_text(content)
    refused(tmp_path, r"holds log\.jsonl, which this training would replace")


def test_a_training_that_stopped_before_its_first_checkpoint_begins_again(tmp_path: Path) -> None:
    run(tmp_path, stop_after=2)
    for name in ("checkpoint.pt", "curves.json"):
        (tmp_path / name).unlink()
    with (tmp_path / "log.jsonl").open("ab") as file:
        file.write(b"\xff\xfe")  # a line that was cut short
    run(tmp_path)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 6
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "log.jsonl").touch()
    run(tmp_path / "empty")


@pytest.mark.parametrize("name", ["checkpoint.pt", "curves.json", "log.jsonl"])
def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    words = rf"output: .*{name} is a folder, and a training writes a file there"
    with pytest.raises(InputError, match=words):
        run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_in_the_place_of_the_curves_of_tensorboard_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").touch()
    pytest.importorskip("torch.utils.tensorboard")
    refused(
        tmp_path,
        "tensorboard: .*tensorboard is a file, expected a folder",
        config=replace(CONFIG, tensorboard=True),
    )


def test_what_fails_at_the_first_step_leaves_nothing(tmp_path: Path) -> None:
    network = build()
    torch.nn.init.constant_(next(network.parameters()), float("nan"))
    with pytest.raises(InputError, match=r"(loss|fit) is nan at step 1"):
        train(network, Line(network), CONFIG, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_with_each_judgement_goes_a_checkpoint(tmp_path: Path) -> None:
    validation = Validation(3, lambda _: {"figure": 1.0}, lambda _: None, "figure")
    config = replace(CONFIG, checkpoint_every=100)

    def stop(step: int, loss: float) -> None:
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, config, validation=validation, on_step=stop)
    assert stored(tmp_path)["step"] == 3
