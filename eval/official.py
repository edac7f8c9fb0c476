"""Comparison with the official DAVIS evaluation code, if it is installed."""

from __future__ import annotations

import contextlib
import io
import math
import os
from dataclasses import dataclass, replace
from typing import Any, Literal

from vostrack.errors import InputError
from vostrack.eval.report import DavisReport
from vostrack.eval.report_text import GLOBAL_COLUMNS, global_row

__all__ = ["OfficialComparison", "check_installed", "check_official"]

Task = Literal["semi-supervised", "unsupervised"]


@dataclass(frozen=True)
class OfficialComparison:
    """Two sets of global scores, in the order of ``GLOBAL_COLUMNS``.

    Attributes:
        ours: scores of this package.
        official: scores of the official code.
    """

    ours: tuple[float, ...]
    official: tuple[float, ...]

    @property
    def difference(self) -> float:
        """The largest absolute difference of a score. Scores that are NaN in both are equal."""
        pairs = zip(self.ours, self.official, strict=True)
        gaps = [abs(a - b) for a, b in pairs if not (math.isnan(a) and math.isnan(b))]
        return max(gaps, default=0.0)

    def agrees(self, tolerance: float = 1e-6) -> bool:
        """Tell whether no score differs by more than ``tolerance``."""
        return self.difference <= tolerance

    def __str__(self) -> str:
        """Return one line per score."""
        rows = zip(GLOBAL_COLUMNS, self.ours, self.official, strict=True)
        return "\n".join(
            f"{name:9} {ours:.6f} here, {official:.6f} by the official code"
            for name, ours, official in rows
        )


def check_official(
    report: DavisReport,
    *,
    root: str | os.PathLike[str],
    results: str | os.PathLike[str],
    subset: str = "val",
    task: Task = "semi-supervised",
) -> OfficialComparison:
    """Score the same results with the official code (davis2017-evaluation) and compare.

    The evaluation class is called directly, and nothing is written. The decay compared is the
    official one, see ``summarize``. The official command line is
    not used, because it reuses old CSV files in the results folder and exits with status 0 if a
    frame is missing.

    Args:
        report: the scores of these results.
        root: the DAVIS 2017 folder.
        results: the folder of results, with one folder of PNG files per sequence.
        subset: the subset, such as ``train`` or ``val``.
        task: the task of the report.

    Raises:
        InputError: the package is not installed or fails; the message contains its output.
    """
    judge_class = _evaluation()
    said = io.StringIO()
    names = [sequence.name for sequence in report.sequences]
    try:
        with contextlib.redirect_stdout(said):
            judge = judge_class(
                davis_root=os.fspath(root), task=task, gt_set=subset, sequences=names
            )
            scores = judge.evaluate(os.fspath(results))
    except SystemExit as error:
        raise InputError(
            f"results {results}: the official code stopped: {said.getvalue().strip() or error}"
        ) from error
    except (OSError, ValueError, AssertionError, AttributeError) as error:
        raise InputError(
            f"results {results}: the official code failed with {type(error).__name__}: {error}"
        ) from error
    wrapped = [replace(sequence, official_decay=True) for sequence in report.sequences]
    return OfficialComparison(global_row(replace(report, sequences=wrapped)), _official_row(scores))


def check_installed() -> None:
    """Refuse to go on without the official package.

    Raises:
        InputError: says how to install it.
    """
    _evaluation()


def _evaluation() -> Any:
    """Import the class that evaluates."""
    try:
        from davis2017.evaluation import DAVISEvaluation
    except ImportError as error:
        raise InputError(
            "check_official: expected the package davis2017, which is not on PyPI; install it with "
            "pip install git+https://github.com/davisvideochallenge/davis2017-evaluation@ac7c43f "
            f"({error})"
        ) from error
    return DAVISEvaluation


def _official_row(scores: dict[str, dict[str, Any]]) -> tuple[float, ...]:
    """Return the means over the objects, in the order of ``GLOBAL_COLUMNS``."""
    row = [
        sum(scores[which][statistic]) / len(scores[which][statistic])
        for which in "JF"
        for statistic in "MRD"
    ]
    return (float(row[0] + row[3]) / 2, *(float(value) for value in row))
