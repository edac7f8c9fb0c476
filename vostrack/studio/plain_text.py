"""Text that pages may send: names that can be shown, written and sent back."""

from __future__ import annotations

import unicodedata

__all__ = ["is_name", "is_plain_text", "without_control"]

# They let text that follows, such as a button's words, be read backwards.
_TURNS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
# Letters, numbers, punctuation and symbols.
_SEEN = "LNPS"


def is_plain_text(text: str) -> bool:
    """Tell whether a text is without control characters and lone halves of characters."""
    return not any(unicodedata.category(sign) in ("Cc", "Cs") for sign in text)


def without_control(text: str) -> str:
    """Return a text without control characters and lone halves of characters."""
    return "".join(sign for sign in text if is_plain_text(sign))


def is_name(text: str) -> bool:
    """Tell whether a plain text can be seen, and leaves the text around it as it is."""
    return (
        is_plain_text(text)
        and any(unicodedata.category(sign)[0] in _SEEN for sign in text)
        and not any(unicodedata.bidirectional(sign) in _TURNS for sign in text)
    )
