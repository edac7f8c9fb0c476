"""The files of the page: nothing from the network, readable colours, names for everything."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import vostrack.studio

PAGE = Path(vostrack.studio.__file__).parent / "page"
STYLE = (PAGE / "style.css").read_text()
HTML = (PAGE / "index.html").read_text()
TEXT_PAIRS = [
    ("--text", "--ground"),
    ("--text", "--panel"),
    ("--muted", "--panel"),
    ("--doubt", "--panel"),
    ("--accent", "--panel"),
    ("--on-accent", "--accent"),
]
SHAPE_PAIRS = [
    ("--line", "--panel"),
    ("--focus", "--panel"),
    ("--focus", "--ground"),
    ("--doubt", "--ground"),
    ("--accent", "--ground"),
]


def themes() -> dict[str, dict[str, str]]:
    light, dark = STYLE.split("@media (prefers-color-scheme: dark)")

    def read(text: str) -> dict[str, str]:
        return dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6});", text))

    return {"light": read(light), "dark": {**read(light), **read(dark)}}


def luminance(colour: str) -> float:
    """Return the relative luminance (WCAG 2.2)."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def test_black_on_white_has_the_contrast_that_the_guideline_states() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("pair", "least"), [*[(p, 4.5) for p in TEXT_PAIRS], *[(p, 3.0) for p in SHAPE_PAIRS]]
)
def test_colours_can_be_told_apart(theme: str, pair: tuple[str, str], least: float) -> None:
    colours = themes()[theme]
    assert contrast(colours[pair[0]], colours[pair[1]]) >= least


def test_both_themes_name_every_colour() -> None:
    light, dark = STYLE.split("@media (prefers-color-scheme: dark)")
    names = [set(re.findall(r"(--[\w-]+):", text)) for text in (light, dark)]
    assert names[0] == names[1]
    assert not re.findall(r"#[0-9a-f]{3,6}\b", re.sub(r"--[\w-]+: #[0-9a-f]{6};", "", STYLE))


@pytest.mark.parametrize("path", sorted(PAGE.iterdir()), ids=lambda path: path.name)
def test_nothing_comes_from_the_network(path: Path) -> None:
    assert not re.findall(
        r"(?:https?:)?//[\w.-]+\.\w+", re.sub(r"/\*\*?.*?\*/", "", path.read_text())
    )


def test_every_module_that_is_imported_is_there() -> None:
    for path in PAGE.glob("*.js"):
        for name in re.findall(r'from "\./([\w.]+)"', path.read_text()):
            assert (PAGE / name).is_file(), f"{path.name} imports {name}"
    for name in re.findall(r'"/page/([\w.]+)"', HTML):
        assert (PAGE / name).is_file()


def test_every_control_has_a_name() -> None:
    for tag in re.findall(r"<(?:button|canvas|progress)[^>]*>[^<]*", HTML):
        words = tag.partition(">")[2].strip()
        assert "aria-label" in tag or re.search(r"\w", words), tag
    controls = r"(<label[^>]*>[^<]*)?\s*(<(?:input|select)[^>]*>)"
    for label, control in re.findall(controls, HTML):
        assert label or "aria-label" in control, control
