"""How the threads of torch wait for each other. This module loads no torch."""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping

__all__ = ["WAITING", "wait_without_spinning"]

WAITING = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Environment variables by which threads that wait leave their core to others."""

# A user who sets one of these has chosen.
_CHOICES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def wait_without_spinning(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let waiting threads sleep, for this process and those that it starts.

    By default they spin, as no other program is expected to want the cores. Where one does, a
    thread that waits keeps the thread from its core that it waits for.

    OpenMP reads the variables once, when torch is imported, so nothing is changed after that. Nor
    is it where the user has set one of them.

    Args:
        environment: of this process.
    """
    if "torch" not in sys.modules and not any(name in environment for name in _CHOICES):
        environment.update(WAITING)
