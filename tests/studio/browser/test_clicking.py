"""Several clicks in a real browser: each starts from the mask that is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.studio.browser.studio_page import StudioPage

if TYPE_CHECKING:
    from playwright.sync_api import Route

    from tests.studio.browser.window import Window


COUNT_CLICKS = """() => {
    window.asked = [];
    const ask = window.fetch;
    window.fetch = (path, options) => {
        if (path.includes("/clicks")) window.asked.push(JSON.parse(options.body).clicks.length);
        return ask(path, options);
    };
}"""


def draws_elsewhere(page: StudioPage, other: StudioPage) -> None:
    """Let another tab paint object 2 in the same frame."""
    other.press("n")
    other.until("document.querySelectorAll('#objects li').length === 2")
    other.press("b")
    other.drag((60, 200), (100, 200))
    page.wait(lambda: page.pixel(80, 200) == other.pixel(80, 200))


def test_clicks_on_one_object_leave_an_accepted_suggestion(page: StudioPage) -> None:
    page.click(252, 180)
    page.press("s")
    page.until("document.querySelectorAll('#suggestions li').length === 2")
    before = len(page.drawn())
    page.press("a")
    page.wait(lambda: len(page.drawn()) > before)
    assert page.latest()[90, 80] == 2
    page.press("1")
    page.click(300, 180)
    assert page.latest()[180, 300] == 1
    assert page.latest()[90, 80] == 2


def test_clicks_leave_what_another_tab_drew(page: StudioPage, window: Window) -> None:
    other = StudioPage(window.context.new_page(), page.server, page.project).load()
    page.click(252, 54)
    draws_elsewhere(page, other)
    page.page.bring_to_front()
    page.click(252, 90)
    assert page.latest()[200, 80] == 2
    assert {page.latest()[54, 252], page.latest()[125, 252]} == {1}


def test_an_answer_leaves_what_another_tab_drew_meanwhile(page: StudioPage, window: Window) -> None:
    other = StudioPage(window.context.new_page(), page.server, page.project).load()
    page.click(252, 54)
    answered: list[bool] = []

    def slowly(route: Route) -> None:
        response = route.fetch()
        if not answered:
            answered.append(True)
            draws_elsewhere(page, other)
        route.fulfill(response=response)

    page.page.route("**/clicks*", slowly)
    page.page.mouse.click(*page.at(252, 90))
    page.wait(lambda: page.page.title() and page.latest()[125, 252] == 1)
    assert page.latest()[200, 80] == 2


def test_clicks_that_were_dropped_or_undone_do_not_come_back(page: StudioPage) -> None:
    page.click(252, 54)
    page.click(252, 90, "right")
    page.page.evaluate(COUNT_CLICKS)
    shown = page.pixel(275, 54)
    page.page.locator("#drop-correction").click()
    page.wait(lambda: page.pixel(275, 54) != shown)
    page.click(127, 189)
    assert page.page.evaluate("window.asked") == [1]
    assert page.latest()[54, 252] == 0
    before = page.latest()
    alone = page.pixel(205, 189)
    page.click(180, 189)
    assert page.page.evaluate("window.asked") == [1, 2]
    page.page.evaluate("import('/page/api.js').then(({ undo }) => undo())")  # as in another tab
    page.until("document.querySelector('#redo').title.includes('click')")
    page.wait(lambda: page.pixel(205, 189) == alone)
    np.testing.assert_array_equal(page.shown(), before)
    page.click(127, 60)
    assert page.page.evaluate("window.asked") == [1, 2, 1]
    assert page.latest()[189, 127] == 1
    assert page.latest()[189, 218] == 0


def test_quick_clicks_are_all_answered(page: StudioPage) -> None:
    for x in (100, 180, 260):
        page.page.mouse.click(*page.at(x, 60))
    page.wait(lambda: len(page.drawn()) == 3)
    assert {int(page.latest()[60, x]) for x in (100, 180, 260)} == {1}
    assert page.objects() == 1


def test_an_undo_that_is_heard_of_before_the_answer_is_shown(page: StudioPage) -> None:
    page.click(252, 54)
    before = page.pixel(100, 189)
    answered: list[bool] = []

    def slowly(route: Route) -> None:
        response = route.fetch()
        page.page.evaluate("import('/page/api.js').then(({ undo }) => undo())")
        page.until("document.querySelector('#redo').title.includes('click')")
        route.fulfill(response=response)
        answered.append(True)

    page.page.route("**/labels*", slowly, times=1)
    page.page.mouse.click(*page.at(127, 189))
    page.wait(lambda: page.page.title() and answered)
    page.wait(lambda: page.pixel(100, 189) == before)
    page.click(200, 120)
    assert [int(page.latest()[y, x]) for x, y in [(127, 189), (200, 120)]] == [0, 1]


def two_objects(page: StudioPage) -> None:
    """Paint object 1 in frame 1, and add object 2."""
    page.press("b", ".")
    page.at_frame(1)
    page.click(300, 50)
    page.press("n")
    page.until("document.querySelectorAll('#objects li').length === 2")


def click_while(page: StudioPage, request: str) -> None:
    """Click; before the answer, another tab asks for something, which this page hears of."""
    undo = page.page.evaluate("document.querySelector('#undo').title")
    answered: list[bool] = []

    def slowly(route: Route) -> None:
        response = route.fetch()
        if not answered:
            page.elsewhere(request)
            page.until(f"document.querySelector('#undo').title !== '{undo}'")
            page.page.wait_for_timeout(50)
        route.fulfill(response=response)
        answered.append(True)

    page.page.route("**/clicks*", slowly)
    page.page.mouse.click(*page.at(100, 150))
    page.wait(lambda: page.page.title() and answered)


def test_a_click_is_answered_though_another_object_ends_meanwhile(page: StudioPage) -> None:
    two_objects(page)
    page.press("c")
    click_while(page, "changeObject(1, { last: 0 }, 'end')")
    page.wait(lambda: page.page.title() and len(page.drawn()) == 2)
    assert page.latest()[150, 100] == 2
    assert page.shown(1)[50, 300] == 0


def test_a_click_on_an_object_that_is_deleted_meanwhile_is_dropped_and_that_is_said(
    page: StudioPage,
) -> None:
    two_objects(page)
    page.press("c")
    click_while(page, "deleteObject(2)")
    page.until("document.querySelector('#hint').textContent.startsWith('What you began for Obj')")
    assert page.words().startswith("What you began for Object 2 is dropped")
    assert len(page.drawn()) == 1


def test_a_polygon_goes_on_until_its_own_object_is_gone(page: StudioPage) -> None:
    two_objects(page)
    page.press("p")
    for at in [(80, 100), (160, 100), (160, 180)]:
        page.page.mouse.click(*page.at(*at))
    page.elsewhere("changeObject(1, { last: 3 }, 'end')")
    page.elsewhere("changeObject(2, { last: 3 }, 'end')")
    page.until("document.querySelector('#undo').title.includes('end')")
    page.page.wait_for_timeout(50)
    page.click(80, 100)
    assert page.latest()[120, 140] == 2
    page.page.mouse.click(*page.at(80, 200))
    page.elsewhere("changeObject(2, { last: 0 }, 'end')")
    page.until("document.querySelector('#hint').textContent.startsWith('What you began for Obj')")


def test_a_box_goes_on_until_its_own_object_is_gone(page: StudioPage) -> None:
    two_objects(page)
    page.press("r")
    page.page.mouse.click(*page.at(80, 100))
    first = page.pixel(300, 50)
    page.elsewhere("deleteObject(1)")
    page.wait(lambda: page.pixel(300, 50) != first)
    page.click(160, 180)
    assert page.latest()[120, 140] == 2
    # The page has the answer, too: what it says then comes before what follows.
    page.until("document.querySelector('#undo').title.includes('box')")
    page.until("!document.querySelector('#hint').textContent.startsWith('Finding')")
    page.page.mouse.click(*page.at(80, 100))
    page.elsewhere("deleteObject(2)")
    page.until("document.querySelector('#hint').textContent.startsWith('What you began for Obj')")
