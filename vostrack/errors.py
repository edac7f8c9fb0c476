"""The exception for input that cannot be used."""

from __future__ import annotations

__all__ = ["InputError"]


class InputError(ValueError):
    """The user's input cannot be used.

    The message names the problem, what was expected, what was found and the remedy. The command
    line prints it on one line, without a traceback, and exits with status 2.
    """
