"""Text that pages may send: names that can be shown, written and sent back."""

from __future__ import annotations

import unicodedata

__all__ = ["is_plain_text"]


def is_plain_text(text: str) -> bool:
    """Tell whether a text is without control characters and lone halves of characters."""
    return not any(unicodedata.category(sign) in ("Cc", "Cs") for sign in text)
