"""Every message that the troubleshooting page explains is one that the package can give."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
OF_OTHERS = {"ImportError: libGL.so.1"}
HEADINGS = sorted(set(re.findall(r"^### `(.*)`$", PAGE, flags=re.MULTILINE)) - OF_OTHERS)


@cache
def _texts() -> tuple[str, ...]:
    """Every string of the package, with a line feed where a value is filled in."""
    found = []
    for folder in ("vostrack", "refine", "online_finetune", "eval"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.JoinedStr):
                    parts = [p.value if isinstance(p, ast.Constant) else "\n" for p in node.values]
                    found.append("".join(map(str, parts)))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
    return tuple(found)


def test_there_are_headings() -> None:
    assert len(HEADINGS) > 15


@pytest.mark.parametrize("heading", HEADINGS)
def test_the_package_can_say_it(heading: str) -> None:
    pattern = ".*".join(re.escape(part) for part in heading.split("…"))
    assert any(re.search(pattern, text, flags=re.DOTALL) for text in _texts()), heading
