"""Two tabs that draw in the same frame at once: both drawings are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.studio.browser.studio_page import StudioPage
from tests.studio.browser.window import Window

if TYPE_CHECKING:
    from playwright.sync_api import Route


def begun(page: StudioPage, window: Window) -> StudioPage:
    """Paint a dab of an object, and return another tab, in which a brush is chosen."""
    page.press("b")
    page.click(60, 60)
    other = StudioPage(window.context.new_page(), page.server, page.project).load()
    other.press("b")
    return other


def strokes_on_their_way(page: StudioPage, *places: tuple[float, float]) -> Route:
    """Paint several dabs; what is sent to save the first waits until it is let go on."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        if route.request.method == "PUT" and not held:
            held.append(route)
        else:
            route.continue_()

    page.page.route("**/labels*", hold)
    for place in places:
        page.page.mouse.click(*page.at(*place))
    page.wait(lambda: page.page.title() and held)
    return held[0]


def test_strokes_of_two_tabs_at_once_are_all_kept(page: StudioPage, window: Window) -> None:
    other = begun(page, window)
    route = strokes_on_their_way(other, (200, 60), (300, 60))
    page.click(200, 180)  # is faster
    route.continue_()
    other.wait(lambda: other.page.title() and len(page.drawn()) == 4)
    found = page.latest()
    assert [int(found[y, x]) for x, y in [(60, 60), (200, 60), (300, 60), (200, 180)]] == [1] * 4
    for place in [(200, 180), (300, 60)]:  # and shown in both
        other.wait(lambda place=place: other.pixel(*place) == page.pixel(*place))
    assert "Not saved" not in other.words()
    other.page.unroute_all()
    other.click(100, 180)  # goes on from there
    assert len(page.drawn()) == 5


def test_an_eraser_takes_nothing_from_what_another_tab_drew(
    page: StudioPage, window: Window
) -> None:
    other = begun(page, window)
    other.press("e")
    route = strokes_on_their_way(other, (66, 60))
    page.press("n")
    page.until("document.querySelectorAll('#objects li').length === 2")
    page.click(50, 60)
    route.continue_()
    other.wait(lambda: other.page.title() and len(page.drawn()) == 3)
    assert [int(page.latest()[60, x]) for x in (44, 58, 68)] == [2, 2, 0]
