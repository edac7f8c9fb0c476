"""What is public stays public, and importing it costs and changes nothing."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECORDED = json.loads(Path(__file__).with_name("public_names.json").read_text())


@pytest.mark.parametrize("module", RECORDED)
def test_no_public_name_was_removed(module: str) -> None:
    current = set(importlib.import_module(module).__all__)
    removed = sorted(set(RECORDED[module]) - current)
    assert not removed, (
        f"public names removed from {module}: {removed}; if that is meant, say so in CHANGELOG.md "
        "and remove them from tests/package/public_names.json"
    )
    added = sorted(current - set(RECORDED[module]))
    assert not added, f"new public names of {module}: {added}; add them to public_names.json"


@pytest.mark.parametrize("module", RECORDED)
def test_every_public_name_can_be_had(module: str) -> None:
    loaded = importlib.import_module(module)
    for name in RECORDED[module]:
        assert getattr(loaded, name) is not None


def test_imports_are_light_and_silent() -> None:
    code = """
import importlib, sys
heavy = {"torch", "torchvision", "cv2", "av", "scipy", "decord", "ray", "numba", "fsspec", "numpy"}
for module in sys.argv[1:]:
    importlib.import_module(module)
    loaded = heavy & set(sys.modules)
    assert not loaded, (module, loaded)
    if module == "vostrack.eval":
        heavy.discard("numpy")
"""
    modules = ["vostrack", "vostrack.datasets.davis", "vostrack.datasets.youtube_vos"]
    modules += ["vostrack.batch", "vostrack.cli", "vostrack.eval", "vostrack.video"]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *modules],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == done.stderr == ""


def test_unknown_names_are_an_error() -> None:
    import vostrack

    with pytest.raises(AttributeError, match="no attribute 'Trackr'"):
        vostrack.Trackr  # noqa: B018 - the access is the test
    assert "Tracker" in dir(vostrack)


def test_every_package_is_on_the_list() -> None:
    """A package left off the list in pyproject.toml vanishes from the wheel without a word."""
    text = (ROOT / "pyproject.toml").read_text()
    listed = set(re.findall(r'"([^"]+)"', text.split("packages = [", 1)[1].split("]", 1)[0]))
    found = set()
    for top, prefix in {
        "vostrack": "vostrack",
        "eval": "vostrack.eval",
        "online_finetune": "vostrack.online_finetune",
        "refine": "vostrack.refine",
    }.items():
        for init in (ROOT / top).rglob("__init__.py"):
            parts = init.parent.relative_to(ROOT / top).parts
            linked = top == "vostrack" and parts[:1] in {
                ("eval",),
                ("online_finetune",),
                ("refine",),
            }
            if not linked:
                found.add(".".join([prefix, *parts]))
    assert listed == found
