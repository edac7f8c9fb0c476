"""The options of every command."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CommandOptions"]


@dataclass(frozen=True, kw_only=True)
class CommandOptions:
    """What every command takes."""

    verbose: bool = False
    """Log more."""

    quiet: bool = False
    """No progress bars, no summary; errors only."""
