"""Optional libraries of formats."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from vostrack.errors import InputError

__all__ = ["optional"]


def optional(module: str, extra: str, purpose: str) -> Any:
    """Import a library that not everybody needs.

    Args:
        module: its name.
        extra: the extra of this package that installs it.
        purpose: what it is needed for.

    Raises:
        InputError: it is not installed. The message names the command that installs it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise InputError(
            f"{purpose} needs the package {module}, which is not installed; install it with: "
            f"pip install 'vostrack[{extra}]'"
        ) from error
