"""Findings of an evaluation: what was left out of the scores, and what was reinterpreted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Finding", "FindingKind", "describe_findings", "listed"]

FindingKind = Literal[
    "folder", "names", "missing", "surplus", "unreadable", "values", "size", "ids", "late", "short",
    "empty", "truth", "decay", "split", "video",
]  # fmt: skip

_SHOWN = 6


@dataclass(frozen=True)
class Finding:
    """Something about one sequence, or about the whole folder, that a reader of scores must know.

    Attributes:
        kind: what it concerns, such as "missing" (frames without a result) or "names" (frames that
            were matched under other names).
        sequence: name of the sequence; "" for the whole folder.
        message: what was expected, what was found and what was done.
        frames: names of the frames that it concerns; empty if it concerns all of them.
        lost: whether something was left out of the scores or of the results. The evaluation is
            then partial.
    """

    kind: FindingKind
    sequence: str
    message: str
    frames: tuple[str, ...] = ()
    lost: bool = False

    def __str__(self) -> str:
        """Return one line."""
        where = f"{self.sequence}: " if self.sequence else ""
        frames = f": {listed(self.frames)}" if self.frames else ""
        return f"{where}{self.message}{frames}"

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return {**asdict(self), "frames": list(self.frames)}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Finding:
        """Read what ``to_json`` wrote.

        Raises:
            KeyError: a field is missing.
        """
        return Finding(
            data["kind"],
            str(data["sequence"]),
            str(data["message"]),
            tuple(data["frames"]),
            bool(data["lost"]),
        )


def listed(names: Iterable[str]) -> str:
    """Join names with commas; of many, only the first and their number."""
    known = list(names)
    shown = ", ".join(known[:_SHOWN])
    return shown if len(known) <= _SHOWN else f"{shown} and {len(known) - _SHOWN} more"


def describe_findings(findings: Iterable[Finding]) -> str:
    """Format findings as text, with one line each: first what was lost, then the notes."""
    ordered = sorted(findings, key=lambda finding: not finding.lost)
    return "\n".join(f"{'not scored' if f.lost else 'note'}: {f}" for f in ordered)
