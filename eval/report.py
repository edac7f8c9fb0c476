"""The scores of a run: global, per sequence and per object, and as JSON."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vostrack.arrays import DoubleArray
from vostrack.errors import InputError
from vostrack.eval.davis import Measure, SequenceScores
from vostrack.eval.findings import Finding
from vostrack.files import atomic_path, parse_json, through_link

__all__ = ["DavisReport", "is_json_report", "read_report", "versions", "write_report_json"]

MeasureName = Literal["J", "F"]
_MEASURES: tuple[MeasureName, MeasureName] = ("J", "F")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that may affect scores."""
    found = {"python": platform.python_version()}
    for package in ("vostrack", "numpy", "scipy"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


@dataclass(frozen=True)
class DavisReport:
    """The DAVIS scores of one run over a set of sequences.

    Attributes:
        sequences: scores of at least one sequence, in the order of the set.
        name: name of the run.
        info: further information (source, task, results folder, versions) as JSON values.
        findings: what was left out of the scores, and what was reinterpreted.
        figures: further figures of a benchmark by name, such as the overall score of YouTube-VOS.
    """

    sequences: Sequence[SequenceScores]
    name: str = "results"
    info: Mapping[str, Any] = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    figures: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the sequences.

        Raises:
            InputError: there is no sequence, or two have the same name.
        """
        names = [sequence.name for sequence in self.sequences]
        if not names:
            raise InputError(f"report {self.name}: expected at least one sequence, got none")
        if len(set(names)) < len(names):
            raise InputError(f"report {self.name}: expected distinct sequences, got {names}")

    @property
    def complete(self) -> bool:
        """Whether everything that should be scored was scored."""
        return not any(finding.lost for finding in self.findings)

    def objects(self) -> list[tuple[SequenceScores, int]]:
        """Return every pair of a sequence and the id of an object, in order."""
        return [(sequence, number) for sequence in self.sequences for number in sequence.ids]

    def measure(self, which: MeasureName) -> Measure:
        """Return the mean of one measure over all objects of all sequences.

        As in the official code, each object has the same weight. Objects without a scored frame
        are left out.
        """
        return _mean([sequence.measure(which, number) for sequence, number in self.objects()])

    @property
    def j_and_f(self) -> float:
        """The mean of the global J and F means."""
        return (self.measure("J").mean + self.measure("F").mean) / 2

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values, with null for NaN and for unscored frames."""
        return {
            "global": {
                "J&F": _number(self.j_and_f),
                **{which: _measure_json(self.measure(which)) for which in _MEASURES},
            },
            "benchmark": {name: _number(value) for name, value in self.figures.items()},
            "sequences": {sequence.name: _sequence_json(sequence) for sequence in self.sequences},
            "complete": self.complete,
            "findings": [finding.to_json() for finding in self.findings],
            "info": {
                "name": self.name,
                "decay": "official" if self.sequences[0].official_decay else "exact",
                **self.info,
            },
        }

    def write_json(self, path: str | os.PathLike[str]) -> None:
        """Write the report as JSON, atomically."""
        write_report_json(path, self.to_json())


def write_report_json(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Write the JSON values of a report, or of several, atomically."""
    text = json.dumps(content, indent=1, allow_nan=False)
    with atomic_path(through_link(path)) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def is_json_report(path: Path) -> bool:
    """Tell whether a file is JSON that ``write_report_json`` wrote, of any version."""
    try:
        data = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(data, dict) and {"global", "sequences", "info"} <= set(data)


def read_report(path: str | os.PathLike[str]) -> DavisReport:
    """Read a report written by ``DavisReport.write_json``.

    Raises:
        InputError: the file is missing or is not such a report.
    """
    try:
        data = parse_json(Path(path).read_text(encoding="utf-8"))
        info = dict(data["info"])
        name = str(info.pop("name"))
        official = info.pop("decay", "official") == "official"
        sequences = [
            _read_sequence(key, value, official=official)
            for key, value in data["sequences"].items()
        ]
        findings = [Finding.from_json(finding) for finding in data.get("findings", ())]
        figures = {
            key: float("nan") if value is None else float(value)
            for key, value in data.get("benchmark", {}).items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: expected a DAVIS report written by vostrack eval as JSON, got "
            f"{type(error).__name__}: {error}; write it again"
        ) from error
    return DavisReport(sequences, name, info, findings, figures)


def _read_sequence(name: str, data: Mapping[str, Any], *, official: bool) -> SequenceScores:
    """Parse the JSON of one sequence."""
    tables: list[DoubleArray] = []
    ids = tuple(sorted(int(number) for number in data["objects"]))
    for which in _MEASURES:
        columns = [data["objects"][str(number)][which]["per_frame"] for number in ids]
        tables.append(np.array(columns, dtype=np.float64).T)
    return SequenceScores(
        name, tuple(data["frames"]), tables[0], tables[1], ids, official_decay=official
    )


def _sequence_json(sequence: SequenceScores) -> dict[str, Any]:
    """Return one sequence as JSON values."""
    numbers = sequence.ids
    return {
        **{
            which: _measure_json(_mean([sequence.measure(which, number) for number in numbers]))
            for which in _MEASURES
        },
        "frames": list(sequence.frames),
        "objects": {
            str(number): {
                which: {
                    **_measure_json(sequence.measure(which, number)),
                    "per_frame": [_number(value) for value in sequence.values(which, number)],
                }
                for which in _MEASURES
            }
            for number in numbers
        },
    }


def _measure_json(measure: Measure) -> dict[str, float | None]:
    """Return one measure as JSON values."""
    return {
        "mean": _number(measure.mean),
        "recall": _number(measure.recall),
        "decay": _number(measure.decay),
    }


def _number(value: float) -> float | None:
    """Return a JSON number; None for NaN, which JSON does not support."""
    return None if math.isnan(value) else float(value)


def _mean(measures: Sequence[Measure]) -> Measure:
    """Return the mean of each statistic over the objects that have it; NaN if none has."""
    rows = np.array([(measure.mean, measure.recall, measure.decay) for measure in measures])
    known = ~np.isnan(rows)
    counts = known.sum(axis=0)
    sums = np.where(known, rows, 0).sum(axis=0)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return Measure(*(float(value) for value in means))
