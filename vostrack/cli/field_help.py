"""Help texts of options: the string under each field of a dataclass."""

from __future__ import annotations

import ast
import inspect
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

__all__ = ["first_line", "help_texts"]


def help_texts(options: type[Any]) -> dict[str, str]:
    """Return the text under each field of a dataclass, on one line, by field.

    Fields that it inherits are left out, and so are fields without a text. The dataclass stands at
    the top of its module.
    """
    body = _classes(inspect.getsourcefile(options) or "")[options.__name__].body
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


@lru_cache
def _classes(path: str) -> dict[str, ast.ClassDef]:
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def first_line(documented: type[Any]) -> str:
    """Return the first line of a docstring."""
    return (documented.__doc__ or "").split("\n", 1)[0]
