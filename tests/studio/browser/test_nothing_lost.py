"""Nothing is lost: two tabs, a reload, a kill, a full disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.studio.browser.studio_page import FRAMES, HOLD_NEWS, Server, Servers, StudioPage
from tests.studio.browser.window import Window
from tests.studio.conftest import write_frames
from vostrack.masks import read_label_map

if TYPE_CHECKING:
    from playwright.sync_api import Route

HINT = "document.querySelector('#hint').textContent"


def test_two_tabs_show_the_same(page: StudioPage, window: Window) -> None:
    other = StudioPage(window.context.new_page(), page.server, page.project).load()
    page.press("n")
    other.until("document.querySelectorAll('#objects li').length === 1")
    page.click(252, 54)
    other.wait(lambda: other.pixel(252, 30) == page.pixel(252, 30))
    other.press("Control+z", "Control+z")
    page.until("document.querySelectorAll('#objects li').length === 0")


def test_a_reload_keeps_everything(page: StudioPage) -> None:
    page.click(252, 54)
    before = page.shown()
    page.page.reload()
    page.page.wait_for_selector("body[data-ready]")
    np.testing.assert_array_equal(page.shown(), before)
    assert page.objects() == 1
    assert page.page.url.endswith("/")


def test_after_a_kill_the_work_goes_on(
    window: Window, servers: Servers, tmp_path: Path, clip: Path
) -> None:
    video = tmp_path / "clip.mp4"
    shutil.copyfile(clip, video)
    server = Server(servers, tmp_path, video)
    try:
        page = StudioPage(window.tab, server, tmp_path / "clip.vostrack").load()
        page.click(252, 54)
        before = page.shown()
        page.page.locator("#track-forward").click()
        page.wait(lambda: 2 in page.masks())
        server.kill()
        page.until("document.querySelector('#hint').classList.contains('error')")
        server.start()
        page.load()
        np.testing.assert_array_equal(page.shown(), before)
        assert page.shown(2)[54, 254] == 1
        page.press("Control+z")
        page.until("!document.querySelector('#redo').disabled")
    finally:
        server.kill()


@contextmanager
def full_disk(page: StudioPage) -> Iterator[None]:
    """Nothing that is drawn can be written."""
    page.press("b", "n")
    page.until("document.querySelectorAll('#objects li').length === 1")
    edits = page.project / "edits"
    edits.write_text("no folder: nothing can be written here")
    yield
    edits.unlink()


def dab(page: StudioPage, frame: int, x: float, y: float) -> None:
    """Paint in a frame; it is not saved."""
    page.press("Home", *"." * frame)
    page.at_frame(frame)
    page.page.mouse.click(*page.at(x, y))
    page.until(f"{HINT}.includes('What you drew is kept here and sent again')")


def stroke_on_its_way(page: StudioPage, x: float, y: float) -> Route:
    """Paint; what is sent to save it waits until it is let go on."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        if route.request.method == "PUT" and not held:
            held.append(route)
        else:
            route.continue_()

    page.page.route("**/labels*", hold)
    page.page.mouse.click(*page.at(x, y))
    page.wait(lambda: page.page.title() and held)
    return held[0]


def test_an_object_ends_goes_on_and_is_deleted_after_what_is_drawn_is_saved(
    page: StudioPage,
) -> None:
    page.press("n", "b", ".")
    page.at_frame(1)
    page.click(300, 50)
    page.press("n")
    page.until("document.querySelectorAll('#objects li').length === 2")
    buttons = {
        "end": "Object 1 ends before this frame",
        "go on": "Track Object 1 in this frame again",
        "delete": "Delete Object 1",
    }
    for (what, name), y in zip(buttons.items(), (50, 120, 190), strict=True):
        route = stroke_on_its_way(page, 100, y)
        page.page.get_by_role("button", name=name).click()
        page.page.wait_for_timeout(50)
        with page.page.expect_response(lambda one: one.request.method == "GET"):
            route.continue_()  # the masks without the object, or with it, are asked for
            page.until(f"document.querySelector('#undo').title.includes('{what}')")
        page.page.wait_for_timeout(100)
        page.page.unroute_all()
    assert [int(page.shown(1)[y, 100]) for y in (50, 120, 190)] == [2, 2, 2]
    assert not page.words().startswith("Not saved")


def test_what_hangs_on_a_stroke_that_is_refused_is_not_done(page: StudioPage) -> None:
    page.press("b")
    page.click(300, 50)
    page.press("n")
    page.until("document.querySelectorAll('#objects li').length === 2")
    route = stroke_on_its_way(page, 100, 150)
    page.page.get_by_role("button", name="Delete Object 1").click()
    route.fulfill(status=422, body='{"error": "it cannot be."}')
    page.until(f"{HINT} === 'Not saved: what you drew in frame 0: it cannot be.'")
    page.page.wait_for_timeout(50)
    assert page.objects() == 2


def test_the_mask_of_a_frame_has_the_stroke_that_is_on_its_way(page: StudioPage) -> None:
    page.press("b")
    page.click(300, 50)
    route = stroke_on_its_way(page, 100, 150)
    with page.page.expect_download() as download:
        page.page.locator("#save-mask").click()
        page.page.wait_for_timeout(50)
        route.continue_()
    assert read_label_map(download.value.path())[150, 100] == 1


def test_a_disk_that_cannot_be_written_to_loses_no_stroke(page: StudioPage) -> None:
    with full_disk(page):
        for frame, x in [(0, 100), (0, 200), (1, 120), (2, 140)]:
            dab(page, frame, x, 150)
        page.press("Home")
        page.at_frame(0)
        assert "disk cannot be used" in page.words()
        assert page.pixel(200, 150) != page.pixel(200, 60)
        with page.page.expect_response("**/labels*"):  # as long as there is no room,
            page.page.get_by_role("button", name="Delete Object 1").click()  # it is not deleted
        page.press("Control+z")  # waits until there is room
    page.until(f"{HINT} === 'Saved.'")
    assert page.objects() == 1
    found = [read_label_map(path) for path in page.drawn()]
    assert [[int(one[150, x]) for x in (100, 200, 120, 140)] for one in found] == [
        [1, 0, 0, 0],
        [1, 1, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
    ]
    assert page.shown(0)[150, 200] == 1


def test_what_can_never_be_saved_is_said(page: StudioPage) -> None:
    with full_disk(page):
        page.press("End")
        page.at_frame(FRAMES - 1)
        before = page.pixel(100, 150)
        dab(page, 0, 100, 150)
        dab(page, FRAMES - 1, 100, 150)
        page.elsewhere("deleteObject(1)")
        page.until("document.querySelectorAll('#objects li').length === 0")
    page.until(f"{HINT}.startsWith('Not saved: what you drew in frame 0: mask: no object has')")
    page.until(f"{HINT}.includes('; frame 5: mask: no object')")
    assert page.drawn() == []
    page.wait(lambda: page.pixel(100, 150) == before)


def test_what_is_kept_waits_until_its_video_is_open_again(page: StudioPage, tmp_path: Path) -> None:
    name = page.project.with_suffix(".mp4").name
    write_frames(page.server.folder / f"other-{name}", 3)
    with full_disk(page):
        dab(page, 0, 100, 150)
        page.server.open(page.server.folder / f"other-{name}")
        page.until("document.querySelector('#position').value === '0 / 2'")
        page.until(
            f"{HINT} === 'What you drew in {name} is kept here, and saved when that is open again.'"
        )
    page.page.wait_for_timeout(100)
    assert page.drawn() == []
    page.server.open(page.server.folder / name)
    page.until(f"{HINT} === 'Saved.'")
    assert page.latest()[150, 100] == 1


def test_what_was_drawn_while_the_server_was_down_is_saved_when_it_is_back(
    window: Window, servers: Servers, tmp_path: Path, clip: Path
) -> None:
    video = tmp_path / "clip.mp4"
    shutil.copyfile(clip, video)
    server = Server(servers, tmp_path, video)
    try:
        page = StudioPage(window.tab, server, tmp_path / "clip.vostrack").load()
        page.press("b")
        page.click(100, 100)
        server.kill()
        dab(page, 0, 200, 150)
        server.start()  # it may have saved the first stroke without an answer
        StudioPage(window.context.new_page(), server, page.project).load()  # the new address
        page.wait(lambda: page.latest()[150, 200] == 1)
        assert page.latest()[100, 100] == 1
        page.until(f"{HINT} === 'Saved.'")
    finally:
        server.kill()


GONE = "window.news.dispatchEvent(new Event('error'))"
BACK = """
    window.news.dispatchEvent(new Event("open"));
    window.news.dispatchEvent(new MessageEvent("hello", { data: "{}" }));
"""


def test_a_connection_that_is_back_takes_no_words_away_but_its_own(
    page: StudioPage, window: Window
) -> None:
    tab = window.context.new_page()
    tab.add_init_script(HOLD_NEWS)
    page = StudioPage(tab, page.server, page.project).load()

    def lose() -> None:
        page.page.route("**/api/state*", lambda route: route.abort(), times=1)
        page.page.evaluate(GONE)
        page.until(f"{HINT} === 'The server does not answer. Start it again.'")

    lose()
    page.page.evaluate(BACK)
    page.until(f"{HINT} === 'Ready'")
    page.press("b")
    lose()
    refused = "it cannot be."
    page.page.route(
        "**/labels*",
        lambda route: (
            route.fulfill(status=422, json={"error": refused})
            if route.request.method == "PUT"
            else route.continue_()
        ),
    )
    page.page.mouse.click(*page.at(100, 150))
    page.until(f"{HINT}.startsWith('Not saved')")
    with page.page.expect_response("**/api/state*"):
        page.page.evaluate(BACK)
    page.page.wait_for_timeout(100)
    assert page.words() == f"Not saved: what you drew in frame 0: {refused}"


def test_a_stroke_whose_answer_was_lost_is_saved_once(page: StudioPage) -> None:
    page.press("b", "n")
    page.until("document.querySelectorAll('#objects li').length === 1")
    answers: list[int] = []

    def lose(route: Route) -> None:
        answers.append(route.fetch().status)
        route.abort()

    page.page.route("**/labels*", lose, times=1)
    page.page.mouse.click(*page.at(100, 150))
    page.until(f"{HINT}.includes('What you drew is kept here and sent again')")
    assert answers == [200]
    page.until(f"{HINT} === 'Saved.'")
    page.click(200, 150)
    assert [int(page.latest()[150, x]) for x in (100, 200)] == [1, 1]
    assert len(page.drawn()) == 2


def test_more_tabs_than_a_browser_has_connections(page: StudioPage, window: Window) -> None:
    tabs = [
        StudioPage(window.context.new_page(), page.server, page.project).load() for _ in range(7)
    ]
    page.page.bring_to_front()
    page.press("b")
    page.click(100, 100)
    for tab in tabs:
        tab.until("document.querySelectorAll('#objects li').length === 1")
    page.press(".")
    page.at_frame(1)


def test_a_stroke_in_whose_middle_the_frame_is_tracked_is_whole(page: StudioPage) -> None:
    page.click(252, 54)
    page.page.get_by_label("Show frames as they are tracked").uncheck()
    page.press("End", "b")
    page.at_frame(FRAMES - 1)
    before = page.pixel(275, 54)
    page.page.evaluate("import('/page/api.js').then(({ track }) => track(0, 'forward'))")
    page.page.mouse.move(*page.at(40, 200))
    page.page.mouse.down()
    page.page.mouse.move(*page.at(80, 200), steps=3)
    page.wait(lambda: page.pixel(275, 54) != before)
    page.page.mouse.move(*page.at(120, 200), steps=3)
    assert len(page.drawn()) == 1
    page.page.mouse.up()
    page.wait(lambda: len(page.drawn()) == 2)
    labels = page.latest()
    assert {int(labels[y, x]) for x, y in [(42, 200), (80, 200), (118, 200), (257, 54)]} == {1}


def test_a_stroke_ends_with_a_key_that_leaves_its_frame(page: StudioPage) -> None:
    page.press("b")
    page.page.mouse.move(*page.at(40, 200))
    page.page.mouse.down()
    page.page.mouse.move(*page.at(80, 200), steps=2)
    page.press(".")
    page.at_frame(1)
    page.page.mouse.move(*page.at(120, 100), steps=2)
    page.page.mouse.up()
    assert [int(page.latest()[200, x]) for x in (60, 80, 120)] == [1, 1, 0]
    assert not page.shown(1).any()
