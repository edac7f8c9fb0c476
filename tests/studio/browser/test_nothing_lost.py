"""Nothing is lost: two tabs, a reload, a kill, a full disk."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from tests.studio.browser.studio_page import Server, Servers, StudioPage
from tests.studio.browser.window import Window


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


def test_a_disk_that_cannot_be_written_to_loses_no_stroke(page: StudioPage) -> None:
    page.press("b")
    page.click(100, 100)
    edits = page.project / "edits"
    aside = edits.with_name("aside")
    edits.rename(aside)
    edits.write_text("no folder: nothing can be written here")
    page.page.mouse.click(*page.at(200, 150))
    page.until("document.querySelector('#hint').textContent.includes('disk cannot be used')")
    assert "kept here and sent again" in page.words()
    edits.unlink()
    aside.rename(edits)
    page.until("document.querySelector('#hint').textContent === 'Saved.'")
    assert page.latest()[150, 200] == 1
    assert page.latest()[100, 100] == 1
