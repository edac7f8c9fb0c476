"""The one exception that carries a message meant for the person who gave the input."""

from __future__ import annotations

__all__ = ["InputError"]


class InputError(ValueError):
    """What the user gave cannot be used.

    The message names the problem, what was expected, what came and the remedy; the command line
    prints it on one line, without a traceback, and exits with status 2.
    """
