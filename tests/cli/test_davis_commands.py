"""Whole subsets: run, resume, score, submit and check, from the command line."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vostrack import evaluate
from vostrack.cli import main
from vostrack.masks import read_label_map, write_label_map
from vostrack.tracking.tracker import Tracker


@pytest.fixture(scope="module")
def davis(clip_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DAVIS 2017 root of three sequences of six frames: the clip and two mirror images."""
    root = tmp_path_factory.mktemp("DAVIS")
    flips: dict[str, Any] = {
        "clip": lambda a: a,
        "mirror": lambda a: a[:, ::-1],
        "upside": lambda a: a[::-1],
    }
    for name, flip in flips.items():
        images, masks = (root / kind / "480p" / name for kind in ("JPEGImages", "Annotations"))
        images.mkdir(parents=True)
        for path in sorted((clip_folder / "frames").iterdir()):
            picture = np.ascontiguousarray(flip(np.array(Image.open(path))))
            Image.fromarray(picture).save(images / f"{path.stem}.jpg", quality=95)
        for path in sorted((clip_folder / "truth").iterdir()):
            write_label_map(masks / path.name, np.ascontiguousarray(flip(read_label_map(path))))
    (root / "ImageSets" / "2017").mkdir(parents=True)
    for subset in ("val", "test-dev"):
        (root / "ImageSets" / "2017" / f"{subset}.txt").write_text("clip\nmirror\nupside\n")
    return root


@pytest.fixture(scope="module")
def base_flags(davis: Path, tiny_network: str) -> tuple[str, ...]:
    return (
        *("--root", str(davis), "--weights", tiny_network),
        *("--foreground-steps", "1", "--object-steps", "2"),
        *("--refiner", "none"),  # the loops of the SPN would be compiled in every process
    )


@pytest.fixture
def flags(base_flags: tuple[str, ...]) -> list[str]:
    return list(base_flags)


@pytest.fixture(scope="module")
def whole(
    base_flags: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """Results of all three sequences, and what the command printed; tests only read them."""
    results = tmp_path_factory.mktemp("whole") / "results"
    printed = io.StringIO()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with contextlib.redirect_stdout(printed):
        assert main(["davis", "run", *base_flags, "--output", str(results)]) == 0
    torch.set_num_threads(before)
    return results, printed.getvalue()


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.png"))}


def test_run_score_submit_check(
    davis: Path, whole: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (results, printed), report = whole, tmp_path / "report.html"
    assert len(content(results)) == 18
    assert "3 sequences done" in printed
    argv = ["eval", str(results), "--root", str(davis), "--json", str(tmp_path / "s.json")]
    argv += ["--csv", str(tmp_path / "csv"), "--html", str(report), "--name", "ours"]
    assert main(argv) == 0
    table = capsys.readouterr().out
    assert "clip_1" in table
    assert "global" in table
    scores = json.loads((tmp_path / "s.json").read_text())
    assert set(scores["sequences"]) == {"clip", "mirror", "upside"}
    per_frame = scores["sequences"]["clip"]["objects"]["2"]["J"]["per_frame"]
    assert per_frame[0] is None
    assert per_frame[-1] is None
    assert all(0 <= value <= 1 for value in per_frame[1:-1])
    assert (tmp_path / "csv" / "global_results-val.csv").is_file()
    assert "ours" in report.read_text()
    packed = tmp_path / "s.zip"
    argv = ["--root", str(davis), "--set", "test-dev", "--zip", str(packed)]
    assert main(["davis", "submit", *argv, "--results", str(results)]) == 0
    with zipfile.ZipFile(packed) as archive:
        assert sorted(archive.namelist()) == sorted(content(results))
    assert main(["davis", "check", *argv]) == 0
    assert main(["davis", "submit", *argv, "--results", str(results)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main(["davis", "submit", *argv, "--results", str(results), "--overwrite"]) == 0
    packed.write_bytes(b"somebody's file")
    assert main(["davis", "submit", *argv, "--results", str(results), "--overwrite"]) == 2
    assert packed.read_bytes() == b"somebody's file"


def test_a_perfect_result_scores_one(davis: Path, tmp_path: Path) -> None:
    argv = ["eval", str(davis / "Annotations" / "480p"), "--root", str(davis), "--quiet"]
    assert main([*argv, "--json", str(tmp_path / "s.json")]) == 0
    assert json.loads((tmp_path / "s.json").read_text())["global"]["J&F"] == 1.0


def test_a_negative_number_of_frames_is_refused(
    davis: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = davis / "Annotations" / "480p"
    assert main(["eval", str(truth), "--root", str(davis), "--worst", "-3"]) == 2
    assert "--worst: expected 0 or more frames, got -3" in capsys.readouterr().err


def test_python_scores_as_the_command_does(davis: Path, tmp_path: Path) -> None:
    truth = davis / "Annotations" / "480p"
    for path in sorted(truth.rglob("*.png")):
        shifted = np.roll(read_label_map(path), 3, axis=1)
        write_label_map(tmp_path / "results" / path.relative_to(truth), shifted)
    argv = ["eval", str(tmp_path / "results"), "--root", str(davis), "--quiet"]
    assert main([*argv, "--json", str(tmp_path / "s.json")]) == 0
    report = evaluate(tmp_path / "results", davis)
    assert report.to_json() == json.loads((tmp_path / "s.json").read_text())
    assert 0 < report.j_and_f < 1
    one = evaluate(tmp_path / "results", davis, sequences=["clip"], name="ours")
    assert ([s.name for s in one.sequences], one.name) == (["clip"], "ours")


def test_several_runs_side_by_side(
    davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = davis / "Annotations" / "480p"
    worse = tmp_path / "worse"
    for path in sorted(truth.rglob("*.png")):
        labels = read_label_map(path)
        labels[:, ::2] = 0
        write_label_map(worse / path.relative_to(truth), labels)
    page = tmp_path / "r.html"
    argv = ["eval", str(truth), "--root", str(davis), "--compare", str(worse), "--html", str(page)]
    assert main([*argv, "--worst", "2"]) == 0
    assert "worse" in page.read_text()
    out = capsys.readouterr().out
    assert out.count("global") == 2


def test_compared_runs_of_one_folder_name_are_told_apart(
    davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = davis / "Annotations" / "480p"
    folders = [tmp_path / run / "results" for run in ("first", "second")]
    for folder in folders:
        shutil.copytree(truth, folder)
    argv = ["eval", str(folders[0]), "--root", str(davis), "--compare", str(folders[1])]
    assert main([*argv, "--html", str(tmp_path / "r.html")]) == 0
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    printed = capsys.readouterr().out
    for name in ("first/results", "second/results"):
        assert name in printed
        assert name in page


def test_what_cannot_be_scored_is_named(
    davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    shutil.copytree(davis / "Annotations" / "480p", results)
    base = ["eval", str(results), "--root", str(davis), "--quiet"]

    def answer(status: int, *more: str) -> str:
        assert main([*base, *more]) == status
        return capsys.readouterr().err

    (results / "clip" / "00002.png").unlink()
    said = answer(1)
    assert "clip: no predicted mask for 1 of 4 scored frames; left out: 00002" in said
    shutil.rmtree(results / "clip")
    assert "no folder clip" in answer(1)
    assert answer(0, "--sequences", "mirror") == ""
    assert "test-dev" in answer(2, "--set", "tst-dev")
    assert "davis2017" in answer(2, "--sequences", "mirror", "--check-official")
    assert main(["eval", str(tmp_path / "no"), "--root", str(davis), "--quiet"]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_a_failing_sequence_does_not_cost_the_others(
    davis: Path, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(davis, broken)
    (broken / "JPEGImages" / "480p" / "mirror" / "00003.jpg").write_bytes(b"no image")
    flags[1] = str(broken)
    assert main(["davis", "run", *flags, "--output", str(tmp_path / "r")]) == 1
    out = capsys.readouterr().out
    assert "1 failed" in out
    assert "mirror" in out
    assert sorted(p.name for p in (tmp_path / "r").iterdir() if not p.name.startswith(".")) == [
        "clip",
        "upside",
    ]


def test_other_options_are_not_mixed(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["davis", "run", *flags, "--sequences", "clip", "--output", str(tmp_path / "r")]
    assert main([*base, "--quiet"]) == 0
    assert main([*base, "--quiet"]) == 0
    assert main([*base, "--seed", "3", "--quiet"]) == 2
    assert "overwrite" in capsys.readouterr().err
    assert main([*base, "--seed", "3", "--overwrite", "--quiet"]) == 0


def test_options_of_the_tracker_reach_every_sequence(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert flags[-2:] == ["--refiner", "none"]
    base = ["davis", "run", *flags[:-2], "--sequences", "clip", "--quiet", "--output"]
    assert main([*base, str(tmp_path / "a"), "--refiner", "none", "--craf", "off"]) == 0
    changes = ["--refiner", "sampled-crf", "--sampled-crf-unary-weight", "0.1", "--craf", "off"]
    assert main([*base, str(tmp_path / "b"), *changes]) == 0
    assert content(tmp_path / "a") != content(tmp_path / "b")
    assert main([*base, str(tmp_path / "c"), "--preset", "finetune", "--adapt", "on"]) == 2
    assert "--adapt: has no effect" in capsys.readouterr().err


def test_workers_give_the_same_bytes(
    flags: list[str], whole: tuple[Path, str], tmp_path: Path
) -> None:
    argv = ["davis", "run", *flags, "--workers", "2", "--threads", "1", "--quiet"]
    assert main([*argv, "--output", str(tmp_path)]) == 0
    assert content(tmp_path) == content(whole[0])


STOPPED = """
import sys, time
from pathlib import Path
from vostrack.cli import main
from vostrack.tracking.tracker import Tracker

start, step, starts = Tracker.start, Tracker.step, []

def noted(self, frame, mask):
    starts.append(1)
    with Path(sys.argv[1]).open("a") as log:
        log.write("start\\n")
    return start(self, frame, mask)

def slow(self, frame):
    if len(starts) > 1:  # the second video is to be cut
        time.sleep(0.4)
    return step(self, frame)

Tracker.start, Tracker.step = noted, slow
sys.exit(main(sys.argv[2:]))
"""


def test_a_killed_run_goes_on_and_computes_nothing_twice(
    flags: list[str],
    whole: tuple[Path, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cut, log = tmp_path / "cut", tmp_path / "log"
    command = ["davis", "run", *flags, "--output", str(cut), "--quiet"]
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED, str(log), *command],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    deadline = time.time() + 120
    while not list(cut.glob(".partial-mirror*/00002.png")):
        assert process.poll() is None, "ended before it could be killed"
        assert time.time() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.wait()
    assert (cut / "clip" / "done.json").is_file()
    start, started = Tracker.start, log.read_text().count("start")

    def noted(self: Tracker, *first: Any) -> Any:
        nonlocal started
        started += 1
        return start(self, *first)

    monkeypatch.setattr(Tracker, "start", noted)
    assert main(command) == 0
    assert content(cut) == content(whole[0])
    # clip once, mirror twice because it was cut, upside once.
    assert started == 4
