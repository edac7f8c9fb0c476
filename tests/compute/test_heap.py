"""That freed memory is kept for the next frame, in a process of its own: it is done once."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import numpy as np
from vostrack.compute.heap import keep_freed_memory

def blocks():
    made = [np.ones(8 << 20, np.uint8) for _ in range(3)]

if sys.argv[1] == "yes":
    keep_freed_memory()
for _ in range(3):
    blocks()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    blocks()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries decide otherwise")
def test_freed_memory_is_used_again() -> None:
    faults = {}
    for keep in ("no", "yes"):
        command = [sys.executable, "-c", SCRIPT, keep]
        found = subprocess.run(command, capture_output=True, text=True, check=True)
        faults[keep] = int(found.stdout)
    # Without it every page of every block is asked for anew.
    assert faults["no"] > 1000
    assert faults["yes"] < 100
