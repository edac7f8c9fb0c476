"""Looking at results and exporting them in a real browser."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

from PIL import Image

from tests.studio.browser.studio_page import FRAMES, HOLD_NEWS, StudioPage
from tests.studio.browser.window import Window

if TYPE_CHECKING:
    from playwright.sync_api import APIResponse, Route

GRAYS = {"black": (0, 0, 0), "white": (255, 255, 255)}


def show(page: StudioPage, mode: str) -> None:
    page.page.select_option("#view-mode", mode)
    page.page.wait_for_timeout(50)


def test_masks_have_an_outline_as_in_exports_also_where_only_a_part_is_drawn(
    page: StudioPage,
) -> None:
    opaque = page.page.evaluate("""async () => {
        const { Overlay } = await import("/page/overlay.js"), overlay = new Overlay();
        overlay.resize(5, 5);
        const labels = new Uint8Array(25).fill(1), whole = [0, 0, 5, 5];
        const draw = (rect) => overlay.draw(labels, new Map([[1, "#800000"]]), rect, false);
        const alphas = () => Array.from(overlay.canvas.getContext("2d").getImageData(...whole).data)
            .filter((_, k) => k % 4 === 3);
        draw(whole);
        const before = alphas();
        labels[12] = 0;
        draw([2, 2, 3, 3]);
        return [before, alphas()].map((all) => all.map((one, k) => (one === 255 ? k : -1))
            .filter((k) => k >= 0));
    }""")
    assert opaque == [[], [7, 11, 13, 17]]


def test_cut_out_on_a_colour_and_on_a_checkerboard(page: StudioPage) -> None:
    page.click(252, 54)
    for mode, gray in GRAYS.items():
        show(page, mode)
        page.wait(lambda gray=gray: page.pixel(20, 200) == gray)
        assert page.pixel(252, 30) != gray  # not under the mark of the click
    show(page, "checker")
    grays = {0xCC, 0x88}  # and blends of them, where squares meet
    page.wait(lambda: grays <= {page.pixel(x, 204)[0] for x in range(20, 60, 2)})
    page.keep("cut_out")


def test_cut_out_on_a_picture_that_is_sent_nowhere(page: StudioPage) -> None:
    page.click(252, 54)
    show(page, "picture")
    picture = io.BytesIO()
    Image.new("RGB", (40, 40), (10, 200, 30)).save(picture, "PNG")
    sent: list[str] = []
    page.page.on("request", lambda request: sent.append(request.method))
    page.page.get_by_label("Picture", exact=True).set_input_files(
        {"name": "green.png", "mimeType": "image/png", "buffer": picture.getvalue()}
    )
    page.wait(lambda: page.pixel(20, 200) == (10, 200, 30))
    assert page.pixel(252, 30) != (10, 200, 30)
    assert sent == []
    page.keep("picture")


def test_soft_edges_are_between_object_and_ground(page: StudioPage) -> None:
    page.click(252, 54)
    show(page, "white")
    page.page.get_by_label("Soft edges").check()
    page.wait(
        lambda: page.page.evaluate(
            "performance.getEntriesByType('resource').some((one) => one.name.includes('/matte'))"
        )
    )
    page.wait(lambda: page.pixel(20, 200) == (255, 255, 255))
    page.press("b")
    page.click(60, 200)
    page.wait(lambda: page.pixel(66, 200) != (255, 255, 255))


def test_how_sure_the_tracker_is(page: StudioPage) -> None:
    page.click(252, 54)
    show(page, "scores")
    yellow = (255, 214, 0)
    page.wait(lambda: page.pixel(252, 30) == yellow)
    assert page.pixel(20, 200) != yellow


def test_an_export_is_made_and_fetched(page: StudioPage) -> None:
    page.click(252, 54)
    page.track("forward", list(range(1, FRAMES)))
    page.page.select_option("#export-format", "masks")
    page.page.locator("#export").click()
    page.page.wait_for_selector("#export-link:not([hidden])")
    page.keep("export")
    with page.page.expect_download() as download:
        page.page.locator("#export-link").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert len(archive.namelist()) == FRAMES


def test_an_export_is_not_offered_once_more_is_tracked(page: StudioPage) -> None:
    page.click(252, 54)
    page.page.locator("#export").click()
    page.page.wait_for_selector("#export-link:not([hidden])")
    page.track("forward", list(range(1, FRAMES)))
    assert page.page.locator("#export-link").is_hidden()


def test_what_changes_while_an_export_is_written_is_said(page: StudioPage) -> None:
    held: list[tuple[Route, APIResponse]] = []
    page.click(252, 54)
    page.page.route("**/api/exports/masks?*", lambda route: held.append((route, route.fetch())))
    page.page.locator("#export").click()
    page.wait(lambda: page.words() and held)  # words let the route be heard
    page.press("b")
    with page.page.expect_response(lambda answer: answer.request.method == "PUT"):
        page.click(100, 150)
    page.until("document.querySelector('#undo').title.includes('paint')")
    page.page.wait_for_timeout(100)  # until the page has read the answer
    route, answer = held.pop()
    route.fulfill(response=answer)
    page.page.wait_for_selector("#export-link:not([hidden])")
    assert page.page.locator("#export-note").is_visible()
    assert "changed while it was written" in page.words()
    page.page.locator("#export").click()
    page.wait(lambda: page.words() and held)  # words let the route be heard
    route, answer = held.pop()
    route.fulfill(response=answer)
    page.page.wait_for_selector("#export-link:not([hidden])")
    assert page.page.locator("#export-note").is_hidden()


def test_news_of_what_an_export_holds_come_after_it_and_take_nothing_away(
    page: StudioPage, window: Window
) -> None:
    tab = window.context.new_page()
    tab.add_init_script(HOLD_NEWS)
    page = StudioPage(tab, page.server, page.project).load()
    page.page.evaluate("news.addEventListener('edit', ({ data }) => { window.latest = data; })")
    page.click(252, 54)
    page.until("window.latest?.includes('click')")
    page.page.locator("#export").click()
    page.page.wait_for_selector("#export-link:not([hidden])")
    late = "news.dispatchEvent(new MessageEvent('edit', { data: window.latest }))"
    page.page.evaluate(late)
    assert page.page.locator("#export-link").is_visible()
    page.press("n")  # exports hold the names of objects
    page.page.wait_for_selector("#export-link", state="hidden")


def test_an_export_of_nothing_is_refused_in_words(page: StudioPage) -> None:
    page.page.locator("#export").click()
    page.until("document.querySelector('#hint').textContent.includes('no frame has a mask yet')")
