"""Drawing the first mask in a real browser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from tests.studio.browser.studio_page import HEIGHT, WIDTH, StudioPage
from vostrack import read_first_mask

if TYPE_CHECKING:
    from playwright.sync_api import Request


def test_clicks_make_a_mask(page: StudioPage) -> None:
    page.click(252, 54)
    labels = page.latest()
    assert labels[54, 252] == 1
    assert (labels == 1).sum() > 500
    page.click(252, 90, "right")
    assert page.latest()[90, 252] == 0
    assert page.latest()[54, 252] == 1
    page.press("x")
    page.click(252, 25)
    assert page.latest()[25, 252] == 0
    assert page.latest()[54, 252] == 1
    page.keep("clicks")


def test_a_click_beside_the_object_needs_one_on_it_first(page: StudioPage) -> None:
    page.page.mouse.click(*page.at(100, 100), button="right")
    page.until("document.querySelector('#hint').textContent === 'Click on the object first.'")
    assert page.drawn() == []


def test_a_box_makes_a_mask(page: StudioPage) -> None:
    page.press("r")
    page.drag((40, 50), (140, 150))
    labels = page.latest()
    rows, columns = np.nonzero(labels)
    np.testing.assert_allclose(
        [columns.min(), rows.min(), columns.max(), rows.max()], [40, 50, 140, 150], atol=2
    )
    page.page.mouse.move(*page.at(40, 50))
    page.page.mouse.down()
    page.page.mouse.move(*page.at(140, 150), steps=4)
    page.page.mouse.up()
    page.until("document.querySelector('#hint').textContent.includes('agrees with that box')")
    assert len(page.drawn()) == 1


def test_a_polygon_makes_a_mask(page: StudioPage) -> None:
    page.press("p")
    for x, y in [(100, 50), (200, 50), (200, 150)]:
        page.page.mouse.click(*page.at(x, y))
    page.click(101, 51)  # the first corner again
    labels = page.latest()
    assert labels[70, 180] == 1
    assert labels[140, 110] == 0
    assert abs(int(labels.sum()) - 5000) < 150


def test_paint_erase_undo_and_redo(page: StudioPage) -> None:
    page.click(252, 54)
    page.press("n")
    page.until("document.querySelectorAll('#objects li').length === 2")
    page.press("b")
    page.drag((90, 160), (160, 200))
    painted = page.latest()
    assert painted[180, 125] == 2
    assert painted[54, 252] == 1
    page.press("e")
    page.click(125, 180)
    assert page.latest()[180, 125] == 0
    page.press("Control+z")
    page.until("document.querySelector('#redo').title.includes('erase')")
    np.testing.assert_array_equal(page.shown(), painted)
    page.press("Control+Shift+Z")
    page.until("document.querySelector('#undo').title.includes('erase')")
    assert page.shown()[180, 125] == 0
    page.press("Control+z")
    page.until("document.querySelector('#redo').title.includes('erase')")
    page.keep("brush")


def test_size_keys_change_the_brush(page: StudioPage) -> None:
    page.press("b")
    page.click(100, 100)
    before = int((page.latest() > 0).sum())
    page.press("]", "]", "]")
    page.click(250, 150)
    assert int((page.latest() > 0).sum()) - before > 1.5 * before
    page.press(*"[" * 20)
    assert page.page.locator("#brush-size").input_value() == "1"


def test_what_changes_no_pixel_is_no_drawing(page: StudioPage) -> None:
    asked: list[str] = []

    def note(request: Request) -> None:
        if request.method in ("PUT", "POST"):
            asked.append(f"{request.method} {request.url}")

    page.page.on("request", note)

    def nothing_changes(*places: tuple[float, float]) -> None:
        page.page.evaluate("document.querySelector('#hint').textContent = ''")
        for x, y in places:
            page.page.mouse.click(*page.at(x, y))
        page.until("document.querySelector('#hint').textContent.startsWith('Nothing changed')")

    corners = [(20, -12), (60, -12), (40, -6), (20, -12)]
    for key, places in {"b": corners[:1], "e": corners[:1], "p": corners}.items():
        page.press(key)
        nothing_changes(*places)
    page.page.wait_for_timeout(100)
    assert [one for one in asked if "prepare" not in one] == []
    assert page.objects() == 0
    page.press("b")
    page.page.locator("#brush-size").fill("60")
    page.click(100, 100)
    page.press("[", "[", "[")
    nothing_changes((100, 100))
    page.press("p")
    nothing_changes((95, 95), (105, 95), (105, 105), (95, 95))
    page.page.wait_for_timeout(100)
    assert len(page.drawn()) == 1
    assert sum(one.startswith("PUT") for one in asked) == 1


def test_the_smallest_brush_paints_the_pixel_under_it(page: StudioPage) -> None:
    page.press("b")
    page.page.locator("#brush-size").fill("1")
    page.page.locator("#stage").focus()
    page.press("Enter")
    page.wait(lambda: len(page.drawn()) == 1)
    assert np.argwhere(page.latest()).tolist() == [[HEIGHT // 2, WIDTH // 2]]
    page.drag((50.2, 60.9), (90.9, 60.1))
    assert np.argwhere(page.latest()[:100]).tolist() == [[60, x] for x in range(50, 91)]
    page.press("e")
    page.drag((50.2, 60.9), (90.9, 60.1))
    assert not page.latest()[:100].any()


def test_everything_by_keyboard(page: StudioPage) -> None:
    page.page.locator("#stage").focus()
    page.press("b", "n", "n")
    page.until("document.querySelectorAll('#objects li').length === 2")
    page.press("2", "ArrowLeft", "ArrowLeft", "ArrowLeft", "Shift+ArrowDown", "Enter")
    page.wait(lambda: len(page.drawn()) == 1)
    assert page.latest()[HEIGHT // 2 + 1, WIDTH // 2 - 24] == 2
    page.press("?")
    listed = page.page.locator("#key-list dt").all_inner_texts()
    assert {"Space", "Ctrl+Z", "B", "T", "Enter", "?"} <= {key.upper() for key in listed} | {
        *listed
    }
    page.keep("keys")
    page.press("Escape")
    assert page.page.locator("dialog[open]").count() == 0


def test_names_and_colours(page: StudioPage) -> None:
    page.press("n")
    page.until("document.querySelectorAll('#objects li').length === 1")
    name = page.page.get_by_label("Name of object 1")
    name.fill("Ball")
    name.press("Enter")
    page.until("document.querySelector('#undo').title.includes('rename')")
    page.page.get_by_label("Colour of Ball").evaluate(
        """(input) => {
            input.value = "#00ff00";
            input.dispatchEvent(new Event("change"));
        }"""
    )
    page.until("document.querySelector('#undo').title.includes('colour')")
    found = json.loads((page.project / "project.json").read_text())["edits"][-1]["objects"]
    assert found == [{"id": 1, "name": "Ball", "colour": "#00ff00", "last": None}]


def test_typing_a_name_leaves_what_another_tab_changes(page: StudioPage) -> None:
    page.press("n")
    page.until("document.querySelectorAll('#objects li').length === 1")
    name = page.page.get_by_label("Name of object 1")
    name.press_sequentially("Ball of ")
    page.page.evaluate("""async () => {
        const { addObject, changeObject } = await import("/page/api.js");
        await changeObject(1, { colour: "#00ff00" }, "colour");
        await changeObject(1, { name: "Thing", last: 3 }, "end");
        await addObject();
    }""")
    page.until("document.querySelectorAll('#objects li').length === 2")
    assert page.page.locator("#objects input[type=color]").first.input_value() == "#00ff00"
    name.press_sequentially("wool")
    typed = name.input_value()
    assert "Ball of " in typed
    assert "wool" in typed
    name.press("Enter")
    page.until("document.querySelector('#undo').title.includes('rename')")
    found = json.loads((page.project / "project.json").read_text())["edits"][-1]["objects"]
    assert found[0] == {"id": 1, "name": typed, "colour": "#00ff00", "last": 3}
    assert len(found) == 2


def test_the_first_stroke_after_the_last_object_was_deleted_makes_a_new_one(
    page: StudioPage,
) -> None:
    page.press("n", "b")
    page.until("document.querySelectorAll('#objects li').length === 1")
    page.page.get_by_role("button", name="Delete Object 1").click()
    page.until("document.querySelectorAll('#objects li').length === 0")
    page.click(100, 100)
    assert set(np.unique(page.latest())) == {0, 2}


def test_suggestions_are_shown_and_become_objects(page: StudioPage) -> None:
    page.press("s")
    page.until("document.querySelectorAll('#suggestions li').length === 2")
    page.keep("suggestions")
    assert page.drawn() == []
    page.page.get_by_role("button", name="Accept suggestion 2").click()
    page.wait(lambda: len(page.drawn()) == 1)
    assert page.latest()[90, 300] == 1
    assert page.latest()[90, 80] == 0
    page.press("a")
    page.wait(lambda: len(page.drawn()) == 2)
    assert page.latest()[90, 80] == 2
    assert page.page.locator("#suggestions li").count() == 0
    page.press("s")
    page.until("document.querySelectorAll('#suggestions li').length === 2")
    assert page.words().startswith("These are guesses.")
    page.press("Delete")
    page.until("document.querySelectorAll('#suggestions li').length === 1")
    page.press("Escape")
    assert page.page.locator("#suggestions li").count() == 0
    assert len(page.drawn()) == 2


def test_zoom_and_pan(page: StudioPage) -> None:
    def scale() -> float:
        return float(page.page.evaluate("document.querySelector('#zoom').value").rstrip("%"))

    fitted = scale()
    x, y = page.at(100, 100)
    page.page.mouse.move(x, y)
    page.page.mouse.wheel(0, -600)
    page.wait(lambda: scale() > 2 * fitted)
    page.press("b")
    before = len(page.drawn())
    page.page.mouse.click(x, y)
    page.wait(lambda: len(page.drawn()) > before)
    assert page.latest()[100, 100] == 1  # the wheel kept this place under the pointer
    page.press("h")
    page.page.mouse.down()
    page.page.mouse.move(x + 80, y, steps=2)
    page.page.mouse.up()
    page.press("b", "e")
    page.page.mouse.click(x + 80, y)
    page.wait(lambda: len(page.drawn()) > before + 1)
    assert page.latest()[100, 100] == 0
    page.press("0")
    page.wait(lambda: scale() == fitted)
    page.press("+", "-")


def test_the_mask_is_saved_as_any_other_first_mask(page: StudioPage) -> None:
    page.click(252, 54)
    with page.page.expect_download() as download:
        page.page.locator("#save-mask").click()
    mask = read_first_mask(download.value.path(), size=(HEIGHT, WIDTH))
    np.testing.assert_array_equal(mask.labels, page.latest())


def test_painting_asks_nobody_until_the_stroke_ends(page: StudioPage) -> None:
    page.press("b", "n")
    page.until("document.querySelectorAll('#objects li').length === 1")
    page.page.mouse.move(*page.at(40, 40))
    page.page.evaluate("""() => {
        window.requests = 0;
        const ask = window.fetch;
        window.fetch = (...all) => { window.requests += 1; return ask(...all); };
    }""")
    page.page.mouse.down()
    page.page.mouse.move(*page.at(120, 60), steps=10)
    assert page.page.evaluate("window.requests") == 0
    before = len(page.drawn())
    page.page.mouse.up()
    page.wait(lambda: len(page.drawn()) > before)
    page.page.wait_for_timeout(150)
    assert page.page.evaluate("window.requests") == 1  # and the news of it are not fetched
