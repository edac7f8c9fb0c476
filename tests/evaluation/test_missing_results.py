"""Frames and sequences without a result, left out or scored as empty masks."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.results_of_others import make_davis
from tests.evaluation.results_of_others import write_results as write_davis_results
from tests.evaluation.test_other_benchmarks import MAKERS, opened, write_results
from vostrack.arrays import UInt8Array
from vostrack.datasets import open_davis
from vostrack.eval import DavisReport, ScoringOptions, score_results


def of_swan(name: str, _index: int, labels: UInt8Array) -> UInt8Array:
    """Objects of one sequence, and empty masks of the other."""
    return labels if name == "swan" else np.zeros_like(labels)


def same_scores(first: DavisReport, second: DavisReport) -> bool:
    """Tell whether two runs have the same scores of the same sequences."""
    a, b = first.to_json(), second.to_json()
    return all(a[key] == b[key] for key in ("global", "benchmark", "sequences"))


@pytest.mark.parametrize("layout", MAKERS)
def test_a_sequence_without_a_folder_counts_as_empty_masks(layout: str, tmp_path: Path) -> None:
    MAKERS[layout](tmp_path / "data")
    sequences = opened(layout, tmp_path / "data")
    results = write_results(tmp_path / "results", sequences, of_swan)
    options = ScoringOptions(layout=layout, missing="empty")  # type: ignore[arg-type]
    blank = score_results(results, sequences, options)
    (goats,) = (sequence.name for sequence in sequences if sequence.name.endswith("goats"))
    shutil.rmtree(results / goats)
    gone = score_results(results, sequences, options)
    assert same_scores(gone, blank)
    lost = [finding for finding in gone.findings if finding.lost and finding.sequence == goats]
    assert {finding.kind for finding in lost} >= {"folder", "missing"}
    (results / goats).mkdir()
    assert same_scores(score_results(results, sequences, options), blank)
    skipped = score_results(results, sequences, ScoringOptions(layout=options.layout))
    assert goats not in [sequence.name for sequence in skipped.sequences]


@pytest.mark.parametrize("task", ["semi-supervised", "unsupervised"])
def test_a_sequence_without_a_folder_in_davis(task: str, tmp_path: Path) -> None:
    root = make_davis(tmp_path / "DAVIS")
    found = open_davis(root)
    results = write_davis_results(tmp_path / "results", ("swan",))
    options = ScoringOptions(task=task, missing="empty")  # type: ignore[arg-type]
    report = score_results(results, found, options)
    assert [sequence.name for sequence in report.sequences] == ["swan", "goats"]
    assert np.nanmax(report.sequences[1].j) == 0
    (results / "goats").mkdir()
    assert same_scores(score_results(results, found, options), report)
