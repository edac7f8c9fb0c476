"""The GPU part of ``benchmarks/spn.py``, run in Triton's interpreter on the CPU."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"

INTERPRETED = """
import json
import torch
import spn
from spn_per_line import propagate_per_line
from vostrack.refine.spn import propagate

torch.manual_seed(0)
# Longer than a block, a pixel wide, and every way of sharing gates.
cases = (((1, 130), (1, 1), 1), ((3, 2), (2, 2), 2), ((2, 1), (1, 2), 2), ((1, 2), (2, 1), 2))
for size, sharing, count in cases:
    x = torch.randn(count, count, *size)
    gates = torch.randn(*sharing, 4, 3, *size) / 3
    torch.testing.assert_close(propagate_per_line(x, gates), propagate(x, gates, "reference"))
case = spn.smaller(spn.Case("small", (2, 1, 16, 24), 1))
assert case.shape == (2, 1, 2, 3)
cpu = torch.device("cpu")
result = spn.measure(case, "triton", cpu, 2)
result["copy"] = spn.copy_bandwidth(cpu, 2, 2**16)
print(json.dumps(result))
"""


@pytest.mark.slow  # a script for people with a GPU; Triton's interpreter takes 10 s for it
@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="needs triton")
def test_the_baseline_equals_the_reference_and_every_figure_is_there() -> None:
    paths = [str(BENCHMARKS), str(BENCHMARKS.parent)]
    finished = subprocess.run(
        [sys.executable, "-c", INTERPRETED],
        env={**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    result = json.loads(finished.stdout)
    assert result["copy"] > 0
    assert set(result["forward"]["ratio"]) == {"reference", "one launch per line"}
    assert set(result["backward"]["ratio"]) == {"reference"}
    for name, floats in (("forward", 4 * 3 * 6 + 2 * 12), ("backward", 2 * 4 * 3 * 6 + 7 * 12)):
        figures = result[name]
        for other, ratio in figures["ratio"].items():
            expected = figures[other]["median_ms"] / figures["triton"]["median_ms"]
            assert ratio == pytest.approx(expected, rel=0.01, abs=0.01)
        # So few bytes in so long a time: the figure is rounded to nothing, and must not be more.
        bandwidth = 4 * floats / figures["triton"]["median_ms"] / 1e6
        assert figures["gigabytes_per_second"] == pytest.approx(bandwidth, abs=0.06)
