"""Fingers and pens: one finger draws, two fingers zoom, a pen draws while the hand rests."""

from __future__ import annotations

from typing import Any

import pytest

from tests.studio.browser.studio_page import StudioPage

Point = tuple[float, float]

touched = pytest.mark.parametrize("window", [(820, 1180, True)], indirect=True)


class Hand:
    """Touches the frame as fingers and a pen do.

    Args:
        page: whose frame it is.
    """

    def __init__(self, page: StudioPage) -> None:
        self._page = page
        self._browser = page.page.context.new_cdp_session(page.page)

    def fingers(self, kind: str, *points: Point) -> None:
        """Say where all fingers are now."""
        places = [self._page.at(*point) for point in points]
        touches = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        message: dict[str, Any] = {"type": kind, "touchPoints": touches}
        self._browser.send("Input.dispatchTouchEvent", message)

    def pinch(self, *, slides: float) -> None:
        """Put two fingers down, one after the other, spread them, and lift them in turn."""
        self.fingers("touchStart", (150, 120))
        self.fingers("touchMove", (150 - slides, 120))
        self.fingers("touchStart", (150 - slides, 120), (230, 120))
        for step in range(1, 5):
            self.fingers("touchMove", (150 - slides - 10 * step, 120), (230 + 10 * step, 120))
        self.fingers("touchEnd", (110 - slides, 120))
        self.fingers("touchMove", (120, 140))
        self.fingers("touchEnd")

    def pen(self, kind: str, point: Point, *, end: str = "left") -> None:
        """Press, move or release a pen; ``end`` is the button that it is."""
        x, y = self._page.at(*point)
        message = {"type": kind, "x": x, "y": y, "button": end, "pointerType": "pen"}
        buttons = 0 if kind == "mouseReleased" else 1
        self._browser.send("Input.dispatchMouseEvent", {**message, "buttons": buttons})


@touched
def test_one_finger_paints_and_erases(page: StudioPage) -> None:
    hand = Hand(page)
    for tool, value in (("b", 1), ("e", 0)):
        page.press(tool)
        before = len(page.drawn())
        hand.fingers("touchStart", (60, 60))
        for x in (80, 120, 160):
            hand.fingers("touchMove", (x, 60))
        hand.fingers("touchEnd")
        page.wait(lambda before=before: page.page.title() and len(page.drawn()) > before)
        assert [int(page.latest()[60, x]) for x in (60, 120, 160)] == [value] * 3


@touched
@pytest.mark.parametrize(
    "slides",
    [0.0, pytest.param(1.0, marks=pytest.mark.slow), pytest.param(20.0, marks=pytest.mark.slow)],
)
def test_two_fingers_zoom_and_leave_nothing(page: StudioPage, slides: float) -> None:
    hand = Hand(page)
    zoom = "document.querySelector('#zoom').value"
    for key in "cxrbeph":
        page.press(key, "0")
        before = page.page.evaluate(zoom)
        hand.pinch(slides=slides)
        page.until(f"{zoom} !== {before!r}")
    page.page.wait_for_timeout(100)
    assert page.drawn() == []
    page.press("p", "0")
    for point in ((60, 60), (120, 60), (120, 120), (120, 120)):  # no corner is left of before
        hand.fingers("touchStart", point)
        hand.fingers("touchEnd")
    page.wait(lambda: page.page.title() and page.drawn())
    assert [int(page.latest()[y, x]) for x, y in ((100, 70), (150, 130))] == [1, 0]


@touched
def test_a_pen_draws_while_the_hand_rests(page: StudioPage) -> None:
    hand = Hand(page)
    page.press("b")
    hand.fingers("touchStart", (300, 200))
    hand.pen("mousePressed", (60, 60))
    hand.pen("mouseMoved", (100, 60))
    hand.fingers("touchMove", (310, 210))
    hand.fingers("touchEnd")
    hand.fingers("touchStart", (300, 200))
    hand.fingers("touchMove", (340, 200))
    hand.pen("mouseMoved", (140, 60))
    hand.pen("mouseReleased", (140, 60))
    hand.fingers("touchEnd")
    page.wait(lambda: page.page.title() and page.drawn())
    found = page.latest()
    assert [int(found[y, x]) for x, y in ((60, 60), (100, 60), (140, 60))] == [1, 1, 1]
    assert not found[150:].any()


def test_the_right_button_erases_with_the_brush(page: StudioPage) -> None:
    page.press("b")
    page.click(100, 100)
    page.click(104, 100, "right")
    assert [int(page.latest()[100, x]) for x in (93, 104)] == [1, 0]
    page.until("document.querySelector('#undo').title.includes('erase')")
