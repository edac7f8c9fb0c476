"""How far a run has come, in the words of ``run.json``."""

from __future__ import annotations

from typing import Literal

from vostrack.errors import InputError

__all__ = ["UNFINISHED", "RunStatus", "status_after"]

RunStatus = Literal["running", "interrupted", "failed", "complete", "truncated", "damaged"]

UNFINISHED: tuple[RunStatus, ...] = ("running", "interrupted", "failed")
"""Of runs that can be resumed. A run that was killed could not say so: it is still ``running``."""


def status_after(error: BaseException) -> tuple[RunStatus, str | None]:
    """Return the status of a run that an error ended, and the error's message in one line.

    Args:
        error: what ended it. Ctrl-C and the end of the process, for example by a signal handler
            that calls ``sys.exit``, interrupt a run and have no message.
    """
    if not isinstance(error, Exception):
        return "interrupted", None
    said = " ".join(str(error).split())
    # The messages of other errors do not make sense without their names.
    named = isinstance(error, InputError | OSError) and said
    return "failed", said if named else f"{type(error).__name__}: {said}".removesuffix(": ")
