"""The key that leads to the frames that need a look."""

from __future__ import annotations

from tests.studio.browser.studio_page import FRAMES, StudioPage

HINT = "document.querySelector('#hint').textContent"


def test_a_frame_that_lacks_one_of_several_objects_is_found(page: StudioPage) -> None:
    page.click(252, 54)
    page.page.get_by_label("Show frames as they are tracked").uncheck()
    page.track("forward", list(range(1, FRAMES)))
    page.press("d")
    page.until(f"{HINT}.startsWith('None found')")
    page.press("n", "b")
    page.until("document.querySelectorAll('#objects li').length === 2")
    page.click(60, 200)
    page.press("d")
    page.at_frame(1)
    page.until(
        f"{HINT} === 'Object 2 was not tracked in frames 1 to 5: go to frame 0 and press Forward.'"
    )
