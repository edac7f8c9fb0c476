"""Runs side by side: whether they have scores of the same frames, and the scores over these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from vostrack.eval.davis import SequenceScores
from vostrack.eval.report import DavisReport

__all__ = ["CommonSet", "Coverage", "comparison_json", "coverage", "find_common_set"]

_Scored = Mapping[tuple[str, int], frozenset[str]]


class Coverage(NamedTuple):
    """How much a run has scores of.

    Attributes:
        objects: number of objects with a scored frame.
        sequences: number of sequences with such an object.
        frames: number of frames with such an object.
    """

    objects: int
    sequences: int
    frames: int

    def __str__(self) -> str:
        """Return the numbers in words."""
        objects, sequences = _many(self.objects, "object"), _many(self.sequences, "sequence")
        return f"{objects} in {_many(self.frames, 'frame')} of {sequences}"


@dataclass(frozen=True)
class CommonSet:
    """What all of several runs have scores of.

    Attributes:
        same: whether every run has scores of exactly this, so that its means can be compared.
        reports: the runs over the common set alone, without further figures and findings; empty if
            the runs have no scored frame of an object in common.
    """

    same: bool
    reports: tuple[DavisReport, ...]


def coverage(report: DavisReport) -> Coverage:
    """Count the objects, sequences and frames that have a score."""
    scored = _scored(report)
    frames = {(name, frame) for (name, _), kept in scored.items() for frame in kept}
    return Coverage(len(scored), len({name for name, _ in scored}), len(frames))


def find_common_set(reports: Sequence[DavisReport]) -> CommonSet:
    """Restrict runs to the frames of each object that all of them have scores of.

    Means over different objects or frames say little about which run is better: one that lacks the
    difficult ones would win.

    Args:
        reports: at least one run.
    """
    sets = [_scored(report) for report in reports]
    shared = {
        key: frozenset.intersection(*(s.get(key, frozenset()) for s in sets)) for key in sets[0]
    }
    shared = {key: frames for key, frames in shared.items() if frames}
    if not shared:
        return CommonSet(False, ())
    restricted = tuple(_restricted(report, shared) for report in reports)
    return CommonSet(all(found == shared for found in sets), restricted)


def comparison_json(reports: Sequence[DavisReport]) -> dict[str, Any]:
    """Return several runs as JSON values.

    They are those of the first run. With further runs, ``compared`` lists the values of these, and
    ``common`` is about what all runs have scores of: whether it is all that each of them has
    (``same``), the numbers of its ``objects``, ``sequences`` and ``frames``, and the name and the
    global scores over it of each of the ``runs``.

    Args:
        reports: at least one run.
    """
    first, *others = reports
    content = first.to_json()
    if not others:
        return content
    common = find_common_set(reports)
    counts = coverage(common.reports[0]) if common.reports else Coverage(0, 0, 0)
    return content | {
        "compared": [report.to_json() for report in others],
        "common": {
            "same": common.same,
            **counts._asdict(),
            "runs": [{"name": r.name, "global": r.to_json()["global"]} for r in common.reports],
        },
    }


def _scored(report: DavisReport) -> _Scored:
    """Return the names of the scored frames of every object that has any."""
    found = {}
    for sequence, number in report.objects():
        known = ~np.isnan(sequence.values("J", number))
        if known.any():
            frames = zip(sequence.frames, known, strict=True)
            found[sequence.name, number] = frozenset(frame for frame, has in frames if has)
    return found


def _restricted(report: DavisReport, shared: _Scored) -> DavisReport:
    sequences = [
        _masked(sequence, {n: shared[sequence.name, n] for n in ids})
        for sequence in report.sequences
        if (ids := [n for n in sequence.ids if (sequence.name, n) in shared])
    ]
    return replace(report, sequences=sequences, findings=(), figures={})


def _masked(sequence: SequenceScores, kept: Mapping[int, frozenset[str]]) -> SequenceScores:
    """Return the scores of the objects in ``kept`` in these frames; NaN in all others."""
    inside = np.array([[frame in kept[n] for n in kept] for frame in sequence.frames])
    columns = [sequence.ids.index(number) for number in kept]
    j, f = (np.where(inside, table[:, columns], np.nan) for table in (sequence.j, sequence.f))
    return replace(sequence, j=j, f=f, ids=tuple(kept))


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
