"""Sizes, themes, focus, names and contrast of the page as the browser shows it."""

from __future__ import annotations

import pytest

from tests.studio.browser.studio_page import FRAMES, StudioPage

THEMES = ("light", "dark")
# Width, height, and whether it is touched with fingers.
SIZES = {
    "laptop": (1280, 720, False),
    "tablet": (1024, 768, True),
    "tablet-upright": (768, 1024, True),
}
# Windows too small for all at once: what is beside the frame scrolls.
SMALL_SIZES = {
    "half-laptop": (683, 620, False),
    "800x600": (800, 600, False),
    "900x500": (900, 500, False),
    "640x480": (640, 480, False),
    "narrow": (480, 900, False),
    "low": (640, 360, False),
    "phone": (390, 844, True),
    "small-phone": (360, 640, True),
    "phone-on-its-side": (844, 390, True),
}
# A phone, a low and a narrow window; each opens a browser of its own, so the others are slow tests.
TRIED_FIRST = {"phone", "half-laptop", "low"}

# Everything with words: its colours as they are computed, and whether the words are large.
TEXTS = """() => {
    const solid = (element) => {
        for (let one = element; one; one = one.parentElement) {
            const colour = getComputedStyle(one).backgroundColor;
            if (!colour.endsWith(", 0)")) return colour;
        }
        return "rgb(255, 255, 255)";
    };
    return [...document.querySelectorAll("body *")].filter((one) =>
        one.checkVisibility() && !one.closest("option") &&
        (one.matches("input[type=text], select") ||
         [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())))
        .map((one) => [one.id || one.tagName, getComputedStyle(one).color, solid(one)]);
}"""

# Controls without a name that a screen reader could say.
NAMELESS = """() => [...document.querySelectorAll(
    "button, input, select, canvas, a, output, progress")]
    .filter((one) => one.checkVisibility())
    .filter((one) => !(one.getAttribute("aria-label") || one.textContent.trim() ||
        one.labels?.length || one.title || one.id === "position"))
    .map((one) => one.outerHTML)"""

# Words that are cut off.
CUT = """() => [...document.querySelectorAll("button, aside label, .row, #guide, #hint")]
    .filter((one) => one.checkVisibility())
    .filter((one) => one.scrollWidth > one.clientWidth + 1
        || one.scrollHeight > one.clientHeight + 4)
    .map((one) => one.outerHTML)"""

# Controls that another covers, or that are seen only after scrolling.
HIDDEN = """() => [...document.querySelectorAll(
    "button, a, aside select, #guide, #side input, #export-note")]
    .filter((one) => one.checkVisibility() && !one.closest("#objects"))
    .filter((one) => {
        const box = one.getBoundingClientRect();
        const at = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
        return at !== one && !one.contains(at);
    }).map((one) => one.outerHTML)"""

# Controls that another covers, or that lie beside the window, even after scrolling there.
UNREACHABLE = """() => [...document.querySelectorAll("button, a, select, input, canvas")]
    .filter((one) => one.checkVisibility())
    .filter((one) => {
        one.scrollIntoView({ block: "nearest", inline: "nearest" });
        const box = one.getBoundingClientRect();
        const at = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
        return box.x < 0 || box.right > innerWidth || (at !== one && !one.contains(at));
    }).map((one) => one.outerHTML)"""

# Targets of less than 44 pixels.
SMALL = """() => [...document.querySelectorAll("button, a, select, input, #timeline")]
    .filter((one) => one.checkVisibility() && one.type !== "range")
    .map((one) => (["radio", "checkbox"].includes(one.type) ? one.closest("label") : one))
    .map((one) => [one.outerHTML, one.getBoundingClientRect()])
    .filter(([, box]) => box.width < 44 || box.height < 44)
    .map(([text]) => text)"""


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def fill(page: StudioPage) -> None:
    """Two objects, tracked, with suggestions: most of what the page can show."""
    page.click(252, 54)
    page.press("n", "b")
    page.until("document.querySelectorAll('#objects li').length === 2")
    page.drag((90, 160), (140, 190))
    page.track("forward", list(range(1, FRAMES)))


def test_every_word_has_the_contrast_of_the_guideline_and_every_control_a_name(
    page: StudioPage,
) -> None:
    fill(page)
    page.press("Home")  # the page may still go to the frame that was tracked last
    page.at_frame(0)
    page.press("s")
    page.until("document.querySelectorAll('#suggestions li').length === 2")
    assert page.page.evaluate(NAMELESS) == []
    page.press("Escape")
    for theme in THEMES:
        page.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        for open_dialog in ("", "?", "o"):
            if open_dialog:
                page.press(open_dialog)
            page.page.wait_for_timeout(100)
            found = page.page.evaluate(TEXTS)
            assert len(found) > 30
            poor = [one for one in found if contrast(one[1], one[2]) < 4.5]
            assert poor == [], theme
            if open_dialog == "o":
                assert page.page.evaluate(NAMELESS) == []
            page.press("Escape")


@pytest.mark.parametrize("window", SIZES.values(), ids=SIZES, indirect=True)
def test_the_page_fits(page: StudioPage, request: pytest.FixtureRequest) -> None:
    width, height, touch = request.node.callspec.params["window"]
    fill(page)
    page.page.locator("#export").click()
    page.page.wait_for_selector("#export-link:not([hidden])")
    page.page.evaluate("document.querySelector('#export-note').hidden = false")
    for theme in THEMES:
        page.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        page.page.wait_for_timeout(100)
        sizes = page.page.evaluate("[document.body.scrollWidth, document.body.scrollHeight]")
        assert sizes == [width, height]
        stage = page.page.locator("#stage").bounding_box()
        assert stage is not None
        assert stage["width"] > 0.4 * width
        assert page.page.evaluate(CUT) == []
        assert page.page.evaluate(HIDDEN) == []
        if touch:
            assert page.page.evaluate(SMALL) == []
        page.keep(f"{request.node.callspec.id}-{theme}")


@pytest.mark.parametrize(
    "window",
    [
        pytest.param(size, id=name, marks=() if name in TRIED_FIRST else pytest.mark.slow)
        for name, size in SMALL_SIZES.items()
    ],
    indirect=True,
)
def test_a_small_window_shows_the_frame_and_reaches_the_rest(
    page: StudioPage, request: pytest.FixtureRequest
) -> None:
    width, height, touch = request.node.callspec.params["window"]
    fill(page)
    page.page.locator("#export").click()
    page.page.wait_for_selector("#export-link:not([hidden])")
    page.page.evaluate("scrollTo(0, 0)")
    stage = page.page.locator("#stage").bounding_box()
    assert stage is not None
    assert stage["width"] >= 0.35 * width
    assert stage["height"] >= min(0.45 * height, 200)
    assert stage["y"] + stage["height"] <= height  # all of it is seen without scrolling
    assert page.page.evaluate("document.documentElement.scrollWidth") == width
    assert page.page.evaluate(CUT) == []
    assert page.page.evaluate(UNREACHABLE) == []
    if touch:
        assert page.page.evaluate(SMALL) == []
    page.page.evaluate("scrollTo(0, 0)")
    page.keep(request.node.callspec.id)


def test_the_list_names_keys_as_they_are_printed_on_them(page: StudioPage) -> None:
    page.press("?")
    names = page.page.locator("#key-list dt").all_inner_texts()
    assert {"1–9", "C", "←", "Space", "Ctrl+Z", "Shift+T", "Enter"} <= set(names)
    assert not {"1", "c", "ArrowLeft"} & set(names)
    page.press("Escape")


def test_focus_is_seen_on_every_control(page: StudioPage) -> None:
    page.page.locator("h1").click()
    seen: dict[str, str] = {}
    for _ in range(60):
        page.press("Tab")
        where, outline = page.page.evaluate("""(() => {
            const one = document.activeElement, style = getComputedStyle(one);
            const name = one.id || one.getAttribute("aria-label") || one.textContent;
            return [name, `${style.outlineStyle} ${style.outlineWidth}`];
        })()""")
        if where in seen or page.page.evaluate("document.activeElement === document.body"):
            break
        seen[where] = outline
    assert {"open", "undo", "help", "stage", "add-object", "export", "timeline"} - {*seen} <= {
        "undo"  # nothing can be undone yet
    }
    assert set(seen.values()) == {"solid 3px"}


def test_nothing_jumps_while_frames_come(page: StudioPage) -> None:
    places = """["#stage", "#timeline", "#export", "#track-forward", "#tools", "#position"].map(
        (name) => { const box = document.querySelector(name).getBoundingClientRect();
            return [box.x, box.y, box.width, box.height].map(Math.round).join(" "); })"""
    page.click(252, 54)
    before = page.page.evaluate(places)
    page.track("forward", list(range(1, FRAMES)))
    page.press("End")
    page.at_frame(FRAMES - 1)
    assert page.page.evaluate(places) == before
    page.page.select_option("#view-mode", "scores")
    page.press("Space", "Space")
    assert page.page.evaluate(places) == before


def test_progress_comes_without_polling(page: StudioPage) -> None:
    """Nothing is asked for while the page waits: the server sends events."""
    asked: list[str] = []
    page.page.on("request", lambda request: asked.append(request.url))
    page.page.wait_for_timeout(600)
    assert asked == []
