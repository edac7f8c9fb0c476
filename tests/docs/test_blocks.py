"""Every code block of the README and the docs runs, or says what it needs that is absent.

A block is left out by a comment on the line above it: ``<!-- not run: needs DAVIS -->``. Its
commands are still parsed, so that an option that does not exist fails.
"""

from __future__ import annotations

import json
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tyro

import vostrack
import vostrack.build
from vostrack.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "examples" / "README.md",
    *sorted(p for p in (ROOT / "docs").rglob("*.md") if p.name != "commands.md"),
]
FENCE = re.compile(
    r"^(?P<mark><!-- (?P<comment>.*?) -->\n+)?```(?P<language>\S*)\n(?P<code>.*?)^```$",
    flags=re.MULTILINE | re.DOTALL,
)
LANGUAGES = {"python", "sh", "text", "json"}
CHEAP = {"fast": [], "finetune": ["--object-steps", "1", "--foreground-steps", "1"]}


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: str
    line: int
    language: str
    code: str
    reason: str | None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def _blocks() -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            comment = match["comment"] or ""
            reason = comment.removeprefix("not run: ") if comment.startswith("not run: ") else None
            line = text.count("\n", 0, match.start("code"))
            name = page.relative_to(ROOT).as_posix()
            yield Block(name, line, match["language"], match["code"], reason)


BLOCKS = list(_blocks())


def _of(language: str, *, run: bool) -> list[Any]:
    chosen = [b for b in BLOCKS if b.language == language and (b.reason is None or not run)]
    return [pytest.param(block, id=str(block)) for block in chosen]


def _commands(code: str) -> list[list[str]]:
    """Split a shell block into commands, as lists of words."""
    lines = code.replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [w for w in words if w]


def _vostrack(words: list[str]) -> list[str] | None:
    """Return the arguments of vostrack, also below torchrun; None for another program."""
    if words[0] == "torchrun" and "vostrack" in words:
        words = words[words.index("vostrack") :]
    if words[:3] == ["python", "-m", "vostrack"]:
        return words[3:]
    if words[:2] == ["python", "scripts/track.py"]:
        return ["track", *words[2:]]
    return words[1:] if words[0] == "vostrack" else None


class _ParsedError(Exception):
    """Carries what the real command line made of the arguments."""


def _parse(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse by the real command line, without doing the work."""
    real = tyro.cli

    def parse_only(*args: Any, **kwargs: Any) -> Any:
        raise _ParsedError(real(*args, **kwargs))

    with monkeypatch.context() as patched:
        patched.setattr(tyro, "cli", parse_only)
        try:
            status = main(arguments)
        except _ParsedError:
            status = 0
        except SystemExit as end:  # 0 after --help
            status = int(end.code or 0)
    assert status == 0, f"vostrack {shlex.join(arguments)} does not parse"


def _cheaply(arguments: list[str]) -> list[str]:
    """Replace the preset of a command that tracks by one that takes a second."""
    if arguments[0] != "track" and arguments[:2] != ["davis", "run"]:
        return arguments
    if "--help" in arguments:
        return arguments
    preset = "fast"
    if "--preset" in arguments:
        at = arguments.index("--preset")
        preset = arguments[at + 1] if arguments[at + 1].startswith("finetune") else "fast"
        arguments = arguments[:at] + arguments[at + 2 :]
    return [*arguments, "--preset", preset, *CHEAP[preset.split("-")[0]], "--quiet"]


def test_blocks_say_what_they_are() -> None:
    wrong = [f"{b}: {b.language!r}" for b in BLOCKS if b.language not in LANGUAGES]
    assert not wrong, f"expected one of {sorted(LANGUAGES)} behind the fence: {wrong}"
    assert len(BLOCKS) > 40
    for page in PAGES:
        rest = FENCE.sub("", page.read_text(encoding="utf-8"))
        assert "```" not in rest, f"{page}: a fence is not closed, or is indented"
        indented = re.findall(r"^\n {4}\S.*$", rest, flags=re.MULTILINE)
        indented = [line for line in indented if not line.strip().startswith(("options:", "show_"))]
        assert not indented or page.parent.name == "reference", f"{page}: indented code {indented}"


def test_blocks_that_are_not_run_say_why() -> None:
    for block in BLOCKS:
        if block.reason is not None:
            assert block.reason.startswith(("needs ", "takes ", "builds ")), str(block)


@pytest.mark.parametrize("block", _of("json", run=True))
def test_json_is_json(block: Block) -> None:
    assert json.loads(block.code)


# What runs is parsed then, unless a cheap preset takes the place of its own.
_PARSED = [b for b in _of("sh", run=False) if b.values[0].reason or "--preset" in b.values[0].code]


@pytest.mark.parametrize("block", _PARSED)
def test_commands_parse(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in _commands(block.code):
        arguments = _vostrack(words)
        if arguments is not None:
            _parse(arguments, monkeypatch)
        elif words[0] == "make":
            makefile = (ROOT / "Makefile").read_text()
            for target in words[1:]:
                assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
        elif words[0] == "python":
            script = (ROOT / words[1]).read_text()
            if words[1].startswith("benchmarks/"):
                # Benchmarks share some options with the modules of their folder.
                names = re.findall(r"^from (\w+) import", script, flags=re.MULTILINE)
                modules = [ROOT / "benchmarks" / f"{name}.py" for name in names]
                script += "".join(path.read_text() for path in modules if path.is_file())
            for flag in (w for w in words if w.startswith("--")):
                assert f'"{flag}"' in script, f"{words[1]} has no {flag}"
        else:
            assert words[0] in ("pip", "git", ".ci/run", "cd"), f"{block}: {words[0]}"


@pytest.mark.parametrize("block", _of("sh", run=True))
def test_commands_run(block: Block, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in _commands(block.code):
        arguments = _vostrack(words)
        if arguments is None:
            assert words[0] == "python", f"{block}: {words[0]} is not run; mark the block"
            _run_script(workplace / words[1], words[2:], monkeypatch)
        else:
            try:
                status = main(_cheaply(arguments))
            except SystemExit as end:  # --help
                status = int(end.code or 0)
            assert status == 0, shlex.join(words)


def _run_script(path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    status: object = 0
    with monkeypatch.context() as patched:
        patched.setattr(sys, "argv", [str(path), *arguments])
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as end:
            status = end.code
    assert not status, f"{path.name}: exit status {status}"


@pytest.mark.parametrize("block", _of("python", run=True))
def test_python_runs(block: Block, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = vostrack.build.build_tracker

    def cheap(preset: str = "balanced", **settings: Any) -> Any:
        assert preset in vostrack.PRESETS
        return real("fast", **settings)

    monkeypatch.setattr(vostrack.build, "build_tracker", cheap)
    exec(compile(block.code, str(block), "exec"), {"__name__": "__main__"})
