"""Help texts of options: the string under each field of a dataclass."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import lru_cache
from itertools import pairwise
from typing import Any

__all__ = ["first_line", "help_texts"]


@lru_cache
def help_texts(options: type[Any]) -> dict[str, str]:
    """Return the text under each field of a dataclass, on one line, by field.

    Fields that it inherits are left out, and so are fields without a text.
    """
    tree = ast.parse(textwrap.dedent(inspect.getsource(options)))
    body = tree.body[0].body  # type: ignore[attr-defined]
    found = {}
    for entry, text in pairwise(body):
        if (
            isinstance(entry, ast.AnnAssign)
            and isinstance(entry.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
        ):
            found[entry.target.id] = " ".join(str(text.value.value).split())
    return found


def first_line(documented: type[Any]) -> str:
    """Return the first line of a docstring."""
    return (documented.__doc__ or "").split("\n", 1)[0]
