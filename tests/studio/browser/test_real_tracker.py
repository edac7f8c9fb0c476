"""The page with the shipped networks, from the command that people type to the export.

Its pictures are those of the guide.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.studio.browser.studio_page import ROOT, StudioPage
from tests.studio.browser.window import Window
from vostrack.masks import read_label_map
from vostrack.video import VideoWriter, open_source

FRAMES = 10


class RealServer:
    """``vostrack studio`` in a folder with one video."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vostrack", "studio", "--preset", "fast", "--no-browser"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self.process.stdout is not None
        lines = iter(self.process.stdout.readline, "")
        self.address = next(found[0] for line in lines if (found := re.search(r"http://\S+", line)))


@pytest.fixture
def page(window: Window, tmp_path: Path) -> Iterator[StudioPage]:
    crossing = ROOT / "examples" / "crossing.mp4"
    folder = tmp_path / "videos"
    folder.mkdir()
    with (
        open_source(crossing, start=6, end=6 + FRAMES) as source,
        VideoWriter(folder / "crossing.mp4", source.frame_rate) as writer,
    ):
        for frame in source:
            writer.add(frame.image, frame.time)
    shutil.copyfile(folder / "crossing.mp4", folder / "holiday.mp4")
    server: Any = RealServer(folder)
    yield StudioPage(window.tab, server, folder / "crossing.vostrack").load()
    server.process.terminate()
    server.process.wait()


@pytest.mark.slow
def test_from_a_video_without_a_mask_to_an_export(page: StudioPage, tmp_path: Path) -> None:
    page.page.wait_for_selector("#open-list button")
    page.keep("studio_open")
    page.page.get_by_role("button", name="crossing.mp4").click()
    page.until("document.querySelector('#position').value === '0 / 9'")
    page.press("s")
    page.until("document.querySelectorAll('#suggestions li').length > 0")
    page.keep("studio_suggestions")
    page.press("Escape")
    outline(page)
    page.track("forward", list(range(1, FRAMES)))
    page.press("End")
    page.at_frame(FRAMES - 1)
    page.keep("studio_track")
    found = read_label_map(page.project / "masks" / "00009.png")
    assert {1, 2} <= set(np.unique(found).tolist())
    correct(page)
    page.page.select_option("#view-mode", "checker")
    page.page.get_by_label("Soft edges").check()
    page.page.select_option("#export-format", "png-mattes")
    page.page.locator("#export").click()
    page.page.wait_for_selector("#export-link:not([hidden])")
    page.keep("studio_cut_out")
    with page.page.expect_download() as download:
        page.page.locator("#export-link").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert sum(name.startswith("1/") for name in archive.namelist()) == FRAMES


def outline(page: StudioPage) -> None:
    """Make a mask of each object: of one by a box, of the other by clicks."""
    page.press("r")
    page.drag((172, 24), (276, 134))
    first = page.latest()
    assert 7500 < int((first == 1).sum()) < 9000
    page.press("n", "c")
    page.until("document.querySelectorAll('#objects li').length === 2")
    page.click(153, 168)
    for x, y in [(256, 150), (81, 216), (266, 221), (38, 201)]:
        if page.latest()[y, x] == 2:
            page.click(x, y, "right")
    both = page.latest()
    assert 7000 < int((both == 2).sum()) < 9500
    assert (both == 1).sum() > 0.95 * (first == 1).sum()
    page.keep("studio_brush")


def correct(page: StudioPage) -> None:
    """Paint in a frame in the middle, and track on from there."""
    page.press("Home", ".", ".", ".", ".")
    page.at_frame(4)
    page.press("2", "b")
    page.drag((100, 120), (112, 130))
    page.keep("studio_correct")
    page.page.locator("#track-forward").click()
    page.until("document.querySelector('#progress-text').textContent.includes(' of ')")
    page.until("!document.querySelector('#track-forward').disabled")
