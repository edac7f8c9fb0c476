"""A window of the browser, as browser tests share it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Browser


class Window:
    """A window that tests use in turn: a new one takes a second of the processor.

    Args:
        browser: makes it.
        width, height: pixels.
        touch: whether it is touched with fingers.
    """

    def __init__(self, browser: Browser, width: int, height: int, touch: bool) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, has_touch=touch, is_mobile=touch
        )
        self.context.set_default_timeout(120_000)
        self.problems: list[str] = []
        self.context.on("weberror", lambda error: self.problems.append(str(error.error)))
        self.context.on("request", lambda request: _check_loopback(request.url, self.problems))
        self.tab = self.context.new_page()

    def clear(self) -> list[str]:
        """Leave one empty tab without memory; return what went wrong since the last time."""
        for other in self.context.pages:
            if other is not self.tab:
                other.close()
        self.tab.unroute_all()
        if self.tab.url.startswith("http"):
            self.tab.evaluate("localStorage.clear(), sessionStorage.clear()")
        self.tab.goto("about:blank")
        self.tab.emulate_media(color_scheme="light")
        self.tab.mouse.move(0, 0)
        self.context.clear_cookies()
        found, self.problems = self.problems, []
        return found


def _check_loopback(url: str, problems: list[str]) -> None:
    """The page works offline: nothing but this computer is ever asked."""
    parts = urlsplit(url)
    if parts.scheme not in ("blob", "data") and parts.hostname != "127.0.0.1":
        problems.append(f"request to {url}")
