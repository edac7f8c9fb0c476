"""What every benchmark writes down: the machine, the versions, the spread, and the command.

Run a benchmark as ``python benchmarks/NAME.py``; it imports this file from its own folder.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["environment", "spread", "time_alternately", "write_record"]


def environment(packages: Iterable[str] = ("numpy",), device: str | None = None) -> dict[str, Any]:
    """Return the facts without which a figure means nothing.

    Args:
        packages: distributions whose versions matter.
        device: what ran it; by default this machine's processor.
    """
    return {
        "commit": _git("rev-parse", "HEAD"),
        "changed_files": len(_git("status", "--porcelain").splitlines()),
        "device": device or _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "versions": {"python": platform.python_version(), **_versions(packages)},
        "command": " ".join(["python", *sys.argv]),
    }


def _git(*arguments: str) -> str:
    """Return what git says of this checkout, or nothing."""
    try:
        result = subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).resolve().parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return result.stdout.strip()


def _processor() -> str:
    """Return the name of the processor."""
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the version of each distribution."""
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def spread(seconds: Sequence[float]) -> dict[str, float | int]:
    """Summarize repeated times: median, quartiles and number of repeats, in milliseconds."""
    low, median, high = statistics.quantiles([1000 * value for value in seconds], n=4)
    return {
        "median_ms": round(median, 4),
        "iqr_low_ms": round(low, 4),
        "iqr_high_ms": round(high, 4),
        "repeats": len(seconds),
    }


def time_alternately(
    candidates: dict[str, Callable[[], object]], *, repeats: int, warm_up: int = 2
) -> dict[str, list[float]]:
    """Time each candidate in turn, round after round, so that a busy moment hits all of them.

    Args:
        candidates: what to call, by name. Work on a GPU must be waited for inside.
        repeats: timed rounds, at least 2.
        warm_up: untimed rounds before them.

    Returns:
        Seconds of each call, by name.
    """
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(warm_up + repeats):
        for name, call in candidates.items():
            begin = time.perf_counter()
            call()
            if turn >= warm_up:
                times[name].append(time.perf_counter() - begin)
    return times


def write_record(path: str | os.PathLike[str], record: dict[str, Any]) -> None:
    """Write a record as JSON and print it."""
    text = json.dumps(record, indent=1, allow_nan=False)
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text + "\n", encoding="utf-8")
    print(text)
