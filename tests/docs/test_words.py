"""Options, files and links that the prose names exist, and the prose keeps to plain words."""

from __future__ import annotations

import re
import runpy
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "examples" / "README.md",
    *sorted(p for p in (ROOT / "docs").rglob("*.md") if p.name != "commands.md"),
]
OF_OTHERS = {"--help", "--nproc-per-node", "--no-python", "--group"}
PRIVATE = (
    r"\bsharpen(s|ed|ing)?\b(?! (--|beyond))",
    r"\bto the bit\b",
    r"\bbit for bit\b",
    r"\bstrangers\b",
    r"\bkept back\b",
    r"\bmade (scene|clip)s?\b",
    r"\b(lent|lends|lending)\b",
    r"\btrunks?\b",
    r"\bdream(t|ed)\b",
    r"\bwhoever\b",
    r"\bissue \d+\b",
)
pages = pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())


def _prose(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


@cache
def _known_flags() -> frozenset[str]:
    script = runpy.run_path(str(ROOT / "scripts" / "write_command_reference.py"))
    known = set(OF_OTHERS)
    for words in script["commands"]():
        known |= set(script["flags"](script["parser_of"](words)))
    for folder in ("benchmarks", "scripts", "examples"):
        for path in (ROOT / folder).glob("*.py"):
            known |= set(re.findall(r'"(--[a-z-]+)"', path.read_text()))
    return frozenset(known)


@pages
def test_options_exist(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        pytest.skip("it names options of earlier versions")
    spans = re.findall(r"`[^`\n]+`", _prose(page))
    words = [word for span in spans for word in span.strip("`").split()]
    flags = {word for word in words if re.fullmatch(r"--[a-z][a-z-]*[a-z]", word)}
    unknown = sorted(flags - _known_flags())
    assert not unknown


@pages
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(page)):
        if re.match(r"[a-z]+:|#", target) or target.endswith("commands.md"):
            continue
        path = page.parent / target.split("#")[0]
        assert path.exists(), f"{page.name}: {target} does not exist"


@pages
def test_files_exist(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        pytest.skip("it names files of earlier versions")
    pattern = r"`((?:scripts|benchmarks|examples|docs|vostrack|refine|eval|tests)/[\w/.-]+\.\w+)`"
    for name in re.findall(pattern, _prose(page)):
        assert (ROOT / name).exists(), f"{page.name}: {name} does not exist"


@pages
def test_modules_and_names_exist(page: Path) -> None:
    import importlib

    for name in re.findall(r"`(vostrack(?:\.\w+)+)`", _prose(page)):
        parts = name.split(".")
        for cut in range(len(parts), 0, -1):
            try:
                found = importlib.import_module(".".join(parts[:cut]))
            except ModuleNotFoundError:
                continue
            for part in parts[cut:]:
                found = getattr(found, part)
            break


@pages
def test_plain_words(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        pytest.skip("it names what earlier versions called things")
    text = _prose(page)
    found = [m.group() for word in PRIVATE for m in re.finditer(word, text, flags=re.IGNORECASE)]
    assert not found


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_pictures_are_small() -> None:
    for path in (ROOT / "docs" / "figures").iterdir():
        assert path.stat().st_size < 150_000, path.name
