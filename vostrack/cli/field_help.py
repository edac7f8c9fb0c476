"""Help texts of options: the string under each field of a dataclass."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

__all__ = ["first_line", "help_texts", "option_texts"]


def option_texts(options: type[Any]) -> dict[str, str]:
    """Return a text for each field of a dataclass, those that it inherits included.

    It is the text under the field, else that of the section ``Attributes:`` of the docstring, else
    empty: the options of a stranger's part may lack both.
    """
    found: dict[str, str] = {}
    for base in reversed(options.__mro__):
        if is_dataclass(base):
            found |= _attributes(base) | help_texts(base)
    return {entry.name: found.get(entry.name, "") for entry in fields(options)}


def _attributes(options: type[Any]) -> dict[str, str]:
    """Return what the docstring says of each attribute."""
    text = vars(options).get("__doc__") or ""
    if "Attributes:" not in text:
        return {}
    from docstring_parser import ParseError, google

    try:
        told = google.parse(text).params
    except ParseError:
        return {}
    return {one.arg_name: " ".join((one.description or "").split()) for one in told}


def help_texts(options: type[Any]) -> dict[str, str]:
    """Return the text under each field of a dataclass, on one line, by field.

    Fields that it inherits are left out, and so are fields without a text. There are no texts where
    there is no source, as in a notebook.
    """
    try:
        source = inspect.getsourcefile(options) or ""
        described = _classes(source).get(options.__qualname__)
    except (OSError, TypeError, SyntaxError, ValueError):
        return {}
    found = {}
    for entry, text in pairwise(described.body if described is not None else ()):
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
    """Return the classes of a module by qualified name, those in functions and classes, too."""
    found: dict[str, ast.ClassDef] = {}

    def visit(body: Iterable[ast.AST], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                found[prefix + node.name] = node
                visit(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                visit(node.body, f"{prefix}{node.name}.<locals>.")

    visit(ast.parse(Path(path).read_text(encoding="utf-8")).body, "")
    return found


def first_line(documented: type[Any]) -> str:
    """Return the first line of a docstring."""
    return (documented.__doc__ or "").split("\n", 1)[0]
