"""How messages put things into words."""

from __future__ import annotations

__all__ = ["counted"]


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return a number of things, such as "1 frame" or "2 frames".

    Args:
        count: how many.
        noun: what they are, in the singular.
        plural: where it is not the noun with an s.
    """
    return f"{count} {noun if count == 1 else plural or noun + 's'}"
