"""The scripts and the notebook in ``examples/`` run on a few frames of the bundled clip."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.docs.conftest import SIZE


def _run(script: str, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path("examples") / script
    monkeypatch.setattr(sys, "argv", [str(path), *arguments])
    runpy.run_path(str(path), run_name="__main__")


def test_editor_mattes(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _run("editor_mattes.py", "--preset", "fast", "--objects", "2", monkeypatch=monkeypatch)
    mattes = sorted(Path("out/cutout/mattes").iterdir())
    assert len(mattes) == 3
    matte, first = np.asarray(Image.open(mattes[0])), np.asarray(Image.open("mask.png"))
    # The matte follows the edge of the picture, not the mask's pixel steps.
    assert ((matte > 127) == (first == 2)).mean() > 0.995
    assert Path("out/cutout/cutout.mp4").stat().st_size > 1000


@pytest.mark.parametrize("way", [[], ["--first-mask", "mask.png"]])
def test_robot_loop(
    way: list[str],
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _run("robot_loop.py", "--frames", "3", *way, monkeypatch=monkeypatch)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["frame"] for line in lines] == [0, 1, 2]
    for line in lines:
        assert [entry["id"] for entry in line["objects"]] == [1, 2]
        assert not any(entry["lost"] for entry in line["objects"])
        x0, y0, x1, y1 = line["objects"][0]["box"]
        assert 0 <= x0 < x1 <= SIZE[0]
        assert 0 <= y0 < y1 <= SIZE[1]


def test_robot_loop_from_a_box(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = np.asarray(Image.open("mask.png"))
    rows, columns = np.nonzero(labels == 1)
    box = (columns.min() - 4, rows.min() - 4, columns.max() + 4, rows.max() + 4)
    words = ["--box", *(str(max(int(value), 0)) for value in box)]
    _run("robot_loop.py", "--frames", "1", *words, monkeypatch=monkeypatch)
    found = json.loads(capsys.readouterr().out)["objects"][0]
    assert found["id"] == 1
    assert abs(found["area"] / len(rows) - 1) < 0.5


def test_davis_benchmark(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _run("davis_benchmark.py", "--presets", "fast", "--frames", "3", monkeypatch=monkeypatch)
    assert "crossing" in capsys.readouterr().out
    scores = json.loads(Path("out/davis/fast.json").read_text())
    assert scores
    assert "crossing" in Path("out/davis/report.html").read_text()


def test_the_notebook(workplace: Path) -> None:
    """Its cells are run in order in this process: a kernel of its own takes twenty seconds more."""
    notebook = json.loads(Path("examples/first_steps.ipynb").read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(cells):
        assert not cell["outputs"], "clear the outputs before you commit the notebook"
        exec(compile("".join(cell["source"]), f"cell {number}", "exec"), namespace)
    assert len(list(Path("out/first_steps").glob("*.png"))) == 3
    assert 0.8 < namespace["j"] <= 1
