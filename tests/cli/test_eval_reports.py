"""The files and tables of ``vostrack eval``: what they hold of each run, and what they replace."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.results_of_others import make_davis, truth, write_results
from vostrack.cli import main
from vostrack.masks import write_label_map


@pytest.fixture(scope="module")
def davis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_davis(tmp_path_factory.mktemp("DAVIS"))


def test_the_findings_of_every_run_reach_its_files(
    davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = write_results(tmp_path / "both")
    one = write_results(tmp_path / "one", ("swan",))
    write_label_map(both / "goats" / "00003.png", np.zeros_like(truth("goats", 3)))
    files = ["--json", str(tmp_path / "s.json"), "--html", str(tmp_path / "r.html")]
    argv = ["eval", str(both), "--root", str(davis), "--compare", str(one), "--worst", "0"]
    assert main([*argv, *files]) == 1
    printed = capsys.readouterr().out
    assert "On what they have in common, 1 object in 6 frames of 1 sequence:" in printed
    data = json.loads((tmp_path / "s.json").read_text())
    assert (data["complete"], data["info"]["name"]) == (True, "both")
    assert [run["info"]["name"] for run in data["compared"]] == ["one"]
    assert [finding["sequence"] for finding in data["compared"][0]["findings"]] == ["goats"]
    assert not data["common"]["same"]
    assert "not scored: goats: no folder goats in" in (tmp_path / "r.html").read_text()
