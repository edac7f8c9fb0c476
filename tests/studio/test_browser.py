"""The page in a real browser: paint, click, track, correct, undo, export, reload, kill and go on.

With ``VOSTRACK_SCREENSHOTS=FOLDER`` the tests keep a picture of each step there, for the docs.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from vostrack.masks import read_label_map
from vostrack.video import VideoWriter, open_source

if TYPE_CHECKING:
    from playwright.sync_api import Page

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
MUST_RUN = bool(os.environ.get("VOSTRACK_REQUIRE_BROWSER"))
ROOT = Path(__file__).resolve().parents[2]
FRAMES = 6

if not MUST_RUN:
    pytest.importorskip("fastapi", reason="needs vostrack[studio]")
    pytest.importorskip("playwright", reason="needs playwright")
    if BROWSER is None:
        pytest.skip("needs Chromium (Debian's package chromium)", allow_module_level=True)

sync_api = importlib.import_module("playwright.sync_api")


class Server:
    """The server, with a light tracker, in a process of its own."""

    def __init__(self, video: Path) -> None:
        self.video = video
        self.project = video.with_name("clip.vostrack")
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.studio.light_server"]
        self.process = subprocess.Popen(
            [*command, str(self.video), str(self.project)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"http://\S+", line):
                self.address = found[0]
                return
        raise AssertionError("the server ended without an address")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    video = tmp_path_factory.mktemp("studio") / "clip.mp4"
    with (
        open_source(ROOT / "examples" / "crossing.mp4", end=FRAMES) as source,
        VideoWriter(video, source.frame_rate) as writer,
    ):
        for frame in source:
            writer.add(frame.image, frame.time)
    made = Server(video)
    yield made
    made.kill()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any, server: Server) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    context.set_default_timeout(120_000)
    made = context.new_page()
    problems: list[str] = []
    made.on("pageerror", lambda error: problems.append(str(error)))
    open_page(made, server)
    yield made
    context.close()
    assert problems == []


def open_page(page: Page, server: Server) -> None:
    page.goto(server.address)
    page.wait_for_selector("body[data-ready]", timeout=120_000)


def keep(page: Page, name: str) -> None:
    """Keep a picture for the docs, where that is asked for."""
    folder = os.environ.get("VOSTRACK_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png")


def on_stage(page: Page, x: float, y: float) -> tuple[float, float]:
    """Return where a pixel of the fitted frame is on the page."""
    box = page.locator("#stage").bounding_box()
    assert box is not None
    width, height = 384, 240
    scale = min(box["width"] / width, box["height"] / height) * 0.98
    left = box["x"] + (box["width"] - width * scale) / 2
    top = box["y"] + (box["height"] - height * scale) / 2
    return left + x * scale, top + y * scale


def drawn(server: Server) -> list[Path]:
    return sorted((server.project / "edits").glob("*.png"))


def wait_for(page: Page, condition: Any) -> None:
    for _ in range(1200):
        if condition():
            return
        page.wait_for_timeout(100)
    raise AssertionError("waited too long")


def until(page: Page, expression: str) -> None:
    """Wait until JavaScript is true; playwright's own way breaks the page's security policy."""
    wait_for(page, lambda: page.evaluate(expression))


def latest(server: Server) -> Any:
    return read_label_map(drawn(server)[-1])


def test_clicks_make_a_mask(page: Page, server: Server) -> None:
    before = len(drawn(server))
    page.mouse.click(*on_stage(page, 252, 54))
    wait_for(page, lambda: len(drawn(server)) > before)
    labels = latest(server)
    assert labels[54, 252] == 1
    assert (labels == 1).sum() > 500
    page.mouse.click(*on_stage(page, 252, 90), button="right")
    wait_for(page, lambda: len(drawn(server)) > before + 1)
    assert latest(server)[90, 252] == 0
    assert latest(server)[54, 252] == 1
    page.wait_for_timeout(300)
    keep(page, "clicks")


def test_paint_erase_undo_and_redo(page: Page, server: Server) -> None:
    page.keyboard.press("n")
    until(page, "document.querySelectorAll('#objects li').length === 2")
    page.keyboard.press("b")
    before = len(drawn(server))
    page.mouse.move(*on_stage(page, 90, 160))
    page.mouse.down()
    page.mouse.move(*on_stage(page, 160, 200), steps=5)
    page.mouse.up()
    wait_for(page, lambda: len(drawn(server)) > before)
    painted = latest(server)
    assert painted[180, 125] == 2
    assert painted[54, 252] == 1
    page.keyboard.press("e")
    page.mouse.click(*on_stage(page, 125, 180))
    wait_for(page, lambda: len(drawn(server)) > before + 1)
    assert latest(server)[180, 125] == 0
    page.keyboard.press("Control+z")
    until(page, "document.querySelector('#redo').title.includes('erase')")
    np.testing.assert_array_equal(shown(page), painted)
    page.keyboard.press("Control+Shift+Z")
    until(page, "document.querySelector('#undo').title.includes('erase')")
    assert shown(page)[180, 125] == 0
    page.keyboard.press("Control+z")
    until(page, "document.querySelector('#redo').title.includes('erase')")
    keep(page, "brush")


def shown(page: Page) -> Any:
    """Return the label map that the server gives this page for the first frame."""
    values = page.evaluate(
        """async () => {
            const { loadLabels } = await import("/page/api.js");
            return Array.from((await loadLabels(0)).labels);
        }"""
    )
    return np.array(values, np.uint8).reshape(240, 384)


def test_everything_by_keyboard(page: Page, server: Server) -> None:
    before = len(drawn(server))
    page.locator("#stage").focus()
    page.keyboard.press("2")
    page.keyboard.press("b")
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Enter")
    wait_for(page, lambda: len(drawn(server)) > before)
    assert latest(server)[121, 192 - 24] == 2
    page.keyboard.press("Control+z")
    page.keyboard.press("?")
    assert page.locator("dialog[open]").count() == 1
    page.keyboard.press("Escape")


def test_two_tabs_show_the_same(page: Page, server: Server, browser: Any) -> None:
    other = page.context.new_page()
    open_page(other, server)
    page.keyboard.press("n")
    until(other, "document.querySelectorAll('#objects li').length === 3")
    page.keyboard.press("Control+z")
    until(other, "document.querySelectorAll('#objects li').length === 2")


def track(page: Page, server: Server, wanted: int) -> None:
    page.locator("#track-forward").click()
    masks = server.project / "masks"
    wait_for(page, lambda: len(list(masks.glob("0*.png"))) >= wanted)
    until(page, "document.querySelector('#track-forward').disabled === false")


def test_track_watch_and_correct(page: Page, server: Server) -> None:
    track(page, server, FRAMES - 1)
    masks = server.project / "masks"
    assert [path.stem for path in sorted(masks.glob("0*.png"))] == [f"0000{k}" for k in range(1, 6)]
    page.keyboard.press("End")
    until(page, "document.querySelector('#position').value.startsWith('5')")
    page.wait_for_timeout(300)
    keep(page, "track")
    page.keyboard.press("Home")
    for _ in range(3):
        page.keyboard.press(".")
    until(page, "document.querySelector('#position').value.startsWith('3')")
    page.keyboard.press("1")
    page.keyboard.press("b")
    before = len(drawn(server))
    page.mouse.click(*on_stage(page, 20, 120))
    wait_for(page, lambda: len(drawn(server)) > before)
    corrected = latest(server)
    assert corrected[120, 20] == 1
    stamp = (masks / "00005.png").stat().st_mtime_ns
    page.locator("#track-forward").click()
    wait_for(page, lambda: (masks / "00005.png").stat().st_mtime_ns != stamp)
    until(page, "document.querySelector('#track-forward').disabled === false")
    np.testing.assert_array_equal(latest(server), corrected)
    assert page.locator("#drop-correction").is_enabled()
    keep(page, "correct")


def test_play_shows_every_frame_in_time(page: Page) -> None:
    page.keyboard.press("Space")
    until(page, "document.querySelector('#position').value.startsWith('5')")
    until(page, "document.querySelector('#play').textContent === 'Play'")


def test_export_and_cut_out(page: Page, server: Server) -> None:
    page.select_option("#view-mode", "checker")
    page.select_option("#export-format", "masks")
    page.locator("#export").click()
    page.wait_for_selector("#export-link:not([hidden])")
    keep(page, "export")
    with page.expect_download() as download:
        page.locator("#export-link").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert len(archive.namelist()) == FRAMES


def test_a_reload_keeps_everything(page: Page) -> None:
    before = shown(page)
    page.reload()
    page.wait_for_selector("body[data-ready]")
    np.testing.assert_array_equal(shown(page), before)
    assert page.url.endswith("/")


def test_the_layout_holds(page: Page) -> None:
    for width, height in ((1280, 720), (1024, 768), (820, 1180)):
        page.set_viewport_size({"width": width, "height": height})
        sizes = page.evaluate("[document.body.scrollWidth, document.body.scrollHeight]")
        assert sizes == [width, height]
        stage = page.locator("#stage").bounding_box()
        assert stage is not None
        assert stage["width"] > 0.4 * width
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 1280, "height": 720})
    page.wait_for_timeout(200)
    keep(page, "dark")


def test_painting_answers_at_once(page: Page) -> None:
    """The time from a pointer event to the frame that shows it, in the page, has no waiting."""
    page.keyboard.press("b")
    page.mouse.move(*on_stage(page, 40, 40))
    page.evaluate("""() => {
        window.requests = 0;
        const ask = window.fetch;
        window.fetch = (...all) => { window.requests += 1; return ask(...all); };
    }""")
    page.mouse.down()
    page.mouse.move(*on_stage(page, 120, 60), steps=10)
    assert page.evaluate("window.requests") == 0
    page.mouse.up()
    until(page, "window.requests > 0")
    page.keyboard.press("Control+z")


def test_after_a_kill_the_work_goes_on(page: Page, server: Server) -> None:
    before = shown(page)
    page.keyboard.press("b")
    server.kill()
    until(page, "document.querySelector('#hint').classList.contains('error')")
    server.start()
    open_page(page, server)
    np.testing.assert_array_equal(shown(page), before)
    assert page.locator("#objects li").count() == 2
    page.keyboard.press("Control+z")
    until(page, "document.querySelector('#redo').disabled === false")


def test_quick_steps_are_not_lost(page: Page) -> None:
    for _ in range(3):
        page.keyboard.press(".")
    until(page, "document.querySelector('#position').value.startsWith('3')")
