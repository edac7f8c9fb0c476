"""The record of a benchmark: its command line, the machine, the versions, and the spread.

Every benchmark prints its record as JSON, and writes it with ``--json FILE``. Run a benchmark as
``python benchmarks/NAME.py``; it imports this file from its own folder.
"""

from __future__ import annotations

import argparse
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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vostrack.datasets import VideoSequence

__all__ = [
    "add_davis_arguments",
    "begin_record",
    "benchmark_parser",
    "environment",
    "finish_record",
    "open_davis_arguments",
    "spread",
    "time_alternately",
]

# The instruction sets that decide how fast the arithmetic of networks is.
_FLAGS = (
    *("avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_bf16", "amx_int8", "asimd", "sve", "sve2", "bf16", "i8mm"),
)


def benchmark_parser(
    description: str | None, *, threads: int | None = None
) -> argparse.ArgumentParser:
    """Return a parser with the arguments of every benchmark.

    Args:
        description: the docstring of the benchmark, of which the first line is shown.
        threads: default of ``--threads``; None leaves that argument out.
    """
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the record here")
    if threads is not None:
        parser.add_argument("--threads", type=int, default=threads)
    return parser


def add_davis_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that choose sequences; ``open_davis_arguments`` reads them."""
    parser.add_argument("--root", required=True, help="folder in the layout of DAVIS")
    parser.add_argument("--year", type=int, default=2017, choices=(2016, 2017))
    parser.add_argument("--set", default="val")
    parser.add_argument("--sequences", nargs="*", default=None)


def open_davis_arguments(arguments: argparse.Namespace) -> tuple[VideoSequence, ...]:
    """Open the sequences that ``add_davis_arguments`` lets a user choose."""
    from vostrack.datasets import open_davis

    return open_davis(
        arguments.root,
        year=arguments.year,
        subset=arguments.set,
        sequences=tuple(arguments.sequences) if arguments.sequences else None,
    )


def begin_record(
    name: str, packages: Iterable[str] = ("numpy",), device: str | None = None
) -> dict[str, Any]:
    """Start a record: the name of the benchmark, and the environment before it runs.

    Args:
        name: what is measured.
        packages: see ``environment``.
        device: see ``environment``.
    """
    return {"benchmark": name, "environment": environment(packages, device)}


def finish_record(record: dict[str, Any], path: str | os.PathLike[str] | None) -> None:
    """Print a record as JSON, and write it where a path is given."""
    text = json.dumps(record, indent=1, allow_nan=False)
    if path is not None:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text + "\n", encoding="utf-8")
    print(text)


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
        "processor_flags": _processor_flags(),
        "threads": _threads(),
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


def _processor_flags() -> list[str]:
    """Return which of the instruction sets that matter the processor has; [] where unknown."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for line in lines:
        if line.startswith(("flags", "Features")):
            known = line.partition(":")[2].split()
            return [flag for flag in _FLAGS if flag in known]
    return []


def _threads() -> dict[str, int]:
    """Return the number of threads of each library that is imported.

    The compiled loops of the package use torch's number. Numba is not asked: that would start its
    threads, and may change torch's number.
    """
    ways = {"torch": "get_num_threads", "cv2": "getNumThreads"}
    return {
        name: int(getattr(sys.modules[name], way)())
        for name, way in ways.items()
        if name in sys.modules
    }


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
