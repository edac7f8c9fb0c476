"""One browser, one window and one server for all tests; a project of its own for each.

With ``VOSTRACK_SCREENSHOTS=FOLDER`` the tests keep a picture of each step there, for the docs.
"""

from __future__ import annotations

import importlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from tests.studio.browser.studio_page import FRAMES, ROOT, Server, Servers, StudioPage
from tests.studio.browser.window import Window
from vostrack.video import VideoWriter, open_source

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
MUST_RUN = bool(os.environ.get("VOSTRACK_REQUIRE_BROWSER"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if not MUST_RUN:
        pytest.importorskip("fastapi", reason="needs vostrack[studio]")
        pytest.importorskip("playwright", reason="needs playwright")
        if BROWSER is None:
            pytest.skip("needs Chromium (Debian's package chromium)")
    sync_api = importlib.import_module("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first frames of the bundled clip."""
    video = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with (
        open_source(ROOT / "examples" / "crossing.mp4", end=FRAMES) as source,
        VideoWriter(video, source.frame_rate) as writer,
    ):
        for frame in source:
            writer.add(frame.image, frame.time)
    return video


@pytest.fixture(scope="session")
def servers(browser: Any) -> Iterator[Servers]:
    made = Servers()
    yield made
    made.end()


@pytest.fixture(scope="session")
def server(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Server:
    return Server(servers, tmp_path_factory.mktemp("studio"))


@pytest.fixture(scope="session")
def windows(browser: Any) -> Callable[..., Window]:
    return cache(partial(Window, browser))


@pytest.fixture
def window(windows: Callable[..., Window], request: pytest.FixtureRequest) -> Iterator[Window]:
    """A window without memory; whatever goes wrong in its pages fails the test.

    Its parameters are width, height, and whether it is touched with fingers.
    """
    made = windows(*getattr(request, "param", (1280, 720, False)))
    yield made
    assert made.clear() == []


@pytest.fixture
def page(window: Window, server: Server, clip: Path, request: pytest.FixtureRequest) -> StudioPage:
    """The page with an empty project of the clip."""
    name = re.sub(r"[^a-z_]", "", request.node.name)[:40]
    video = server.folder / f"{name}-{secrets.token_hex(2)}.mp4"
    shutil.copyfile(clip, video)
    server.open(video)
    return StudioPage(window.tab, server, video.with_suffix(".vostrack")).load()
