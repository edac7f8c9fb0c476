"""One browser and one server for all tests; a project of its own for each.

With ``VOSTRACK_SCREENSHOTS=FOLDER`` the tests keep a picture of each step there, for the docs.
"""

from __future__ import annotations

import importlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.studio.browser.studio_page import FRAMES, ROOT, Server, StudioPage
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
def server(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("studio"))
    yield made
    made.kill()


@pytest.fixture
def context(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A window without memory; whatever goes wrong in its pages fails the test.

    Its parameters are width, height, and whether it is touched with fingers.
    """
    width, height, touch = getattr(request, "param", (1280, 720, False))
    size = {"width": width, "height": height}
    made = browser.new_context(viewport=size, has_touch=touch, is_mobile=touch)
    made.set_default_timeout(120_000)
    problems: list[str] = []
    made.on("weberror", lambda error: problems.append(str(error.error)))
    made.on("request", lambda request: _check_loopback(request.url, problems))
    yield made
    made.close()
    assert problems == []


def _check_loopback(url: str, problems: list[str]) -> None:
    """The page works offline: nothing but this computer is ever asked."""
    parts = urlsplit(url)
    if parts.scheme not in ("blob", "data") and parts.hostname != "127.0.0.1":
        problems.append(f"request to {url}")


@pytest.fixture
def page(context: Any, server: Server, clip: Path, request: pytest.FixtureRequest) -> StudioPage:
    """The page with an empty project of the clip."""
    name = re.sub(r"[^a-z_]", "", request.node.name)[:40]
    video = server.folder / f"{name}-{secrets.token_hex(2)}.mp4"
    shutil.copyfile(clip, video)
    server.open(video)
    return StudioPage(context.new_page(), server, video.with_suffix(".vostrack")).load()
