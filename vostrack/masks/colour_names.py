"""Words for colours."""

from __future__ import annotations

import re

__all__ = ["with_colour_word"]

_HEX = re.compile(r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})")

# Some of the basic colours of CSS, by the words that people use for them.
_WORDS = {
    "black": (0, 0, 0),
    "gray": (128, 128, 128),
    "white": (255, 255, 255),
    "red": (255, 0, 0),
    "dark red": (128, 0, 0),
    "orange": (255, 140, 0),
    "brown": (139, 69, 19),
    "yellow": (255, 255, 0),
    "olive": (128, 128, 0),
    "green": (0, 255, 0),
    "dark green": (0, 128, 0),
    "cyan": (0, 255, 255),
    "teal": (0, 128, 128),
    "blue": (0, 0, 255),
    "dark blue": (0, 0, 128),
    "purple": (128, 0, 128),
    "magenta": (255, 0, 255),
    "pink": (255, 150, 190),
}


def with_colour_word(name: str) -> str:
    """Put the nearest word before the name of an object that is a colour.

    Args:
        name: such as ``#fa0000``; other names are returned as they are.

    Returns:
        Such as ``red (#fa0000)``.
    """
    match = _HEX.fullmatch(name)
    if match is None:
        return name
    colour = [int(digits, 16) for digits in match.groups()]
    word = min(
        _WORDS, key=lambda w: sum((a - b) ** 2 for a, b in zip(colour, _WORDS[w], strict=True))
    )
    return f"{word} ({name})"
