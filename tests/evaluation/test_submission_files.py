"""The file that ``vostrack dataset submit`` writes for each benchmark, and what it refuses."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from tests.datasets.small_sets import make_burst
from tests.evaluation.test_other_benchmarks import MAKERS, opened, write_results
from vostrack.cli import main


def test_a_submission_has_the_suffix_of_its_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for layout, default, other in (
        ("burst", "submission.json", "s.zip"),
        ("lvos", "submission.zip", "s.JSON"),
    ):
        root = MAKERS[layout](tmp_path / layout)
        results = write_results(tmp_path / f"{layout}-results", opened(layout, root))
        flags = ["--layout", layout, "--root", str(root), "--results", str(results)]
        assert main(["dataset", "submit", *flags, "--zip", other]) == 2
        named = f"got {other}; give s{Path(default).suffix}"
        assert f"--zip: the submission of {layout} is a " in (said := capsys.readouterr().err)
        assert named in said
        assert main(["dataset", "submit", *flags]) == 0
        assert capsys.readouterr().out.startswith(f"{default}: 2 sequences")
        assert main(["dataset", "submit", *flags]) == 2
        assert f"--zip: {default} exists" in capsys.readouterr().err
    assert json.loads((tmp_path / "submission.json").read_text())["sequences"]
    assert zipfile.is_zipfile(tmp_path / "submission.zip")
    assert not Path("s.zip").exists()


def test_missing_results_for_burst_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_burst(tmp_path / "data")
    sequences = opened("burst", root)
    results, target = tmp_path / "results", tmp_path / "s.json"
    flags = ["--layout", "burst", "--root", str(root), "--zip", str(target)]
    argv = ["dataset", "submit", *flags, "--results", str(results)]
    assert main(argv) == 2
    assert f"results {results}: no such folder; expected" in capsys.readouterr().err
    results.write_text("no folder")
    assert main(argv) == 2
    assert f"results {results}: a file; expected a folder" in capsys.readouterr().err
    results.unlink()
    write_results(results, sequences)
    first, second = sequences
    truth = json.loads((root / "annotations" / "val" / "all_classes.json").read_text())
    stems = [Path(path).stem for path in truth["sequences"][0]["annotated_image_paths"]]
    (results / first.name / f"{stems[-1]}.png").unlink()
    shutil.rmtree(results / second.name)
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert f"{first.name}: no mask of 1 of 3 frames: {stems[-1]}.png" in said
    assert f"{second.name}: expected 3 masks, found none" in said
    assert not target.exists()
