"""The server and the page, as browser tests see them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from vostrack.masks import read_label_map

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[3]
HEIGHT, WIDTH, FRAMES = 240, 384, 6
_POLL_SECONDS = 0.03
_PATIENCE_SECONDS = 60

HOLD_NEWS = """
    window.SharedWorker = undefined;
    window.EventSource = class extends EventSource {
        constructor(...parts) { super(...parts); window.news = this; }
    };
"""
"""What a tab runs first, so that a test can tell it news as the server does."""


class Servers:
    """The process that starts servers, see tests/studio/light_server.py."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.studio.light_server"],
            stdin=subprocess.PIPE,  # its end tells the servers that this process has ended
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def start(self, port: int, *places: Path) -> tuple[int, str]:
        """Start a server of a folder, and perhaps a video; return its process and address."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([port, *map(str, places)]), file=self._process.stdin, flush=True)
        for line in self._process.stdout:
            if found := re.search(r"(\d+) (http://\S+)", line):
                return int(found[1]), found[2]
        raise AssertionError("the server ended without an address")

    def end(self) -> None:
        """End all of them."""
        self._process.communicate()


class Server:
    """The server, with a light tracker, in a process of its own.

    Args:
        servers: starts it.
        folder: the chosen folder.
        video: what is open from the start.
    """

    def __init__(self, servers: Servers, folder: Path, *video: Path) -> None:
        self._servers, self.folder, self._video = servers, folder, video
        self._port = 0
        self.start()

    def start(self) -> None:
        """Start it; later again with the same port, as pages that are still open expect."""
        started = self._servers.start(self._port, self.folder, *self._video)
        self._process, self.address = started
        self._port = urlsplit(self.address).port or 0

    def kill(self) -> None:
        """Kill it, and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            while True:
                os.kill(self._process, signal.SIGKILL)
                time.sleep(_POLL_SECONDS)

    def open(self, video: Path) -> None:
        parts = urlsplit(self.address)
        token = parse_qs(parts.query)["token"][0]
        request = urllib.request.Request(
            f"http://{parts.netloc}/api/open",
            json.dumps({"path": str(video)}).encode(),
            {"content-type": "application/json", "x-vostrack-token": token},
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 200


class StudioPage:
    """The page with a project of its own.

    Attributes:
        page: in the browser.
        server: behind it.
        project: the folder of its project.
        aspect: width of a pixel of the video divided by its height.
    """

    aspect = 1.0

    def __init__(self, page: Page, server: Server, project: Path) -> None:
        self.page, self.server, self.project = page, server, project

    def load(self) -> StudioPage:
        """Open the address, and wait until the page is ready."""
        self.page.goto(self.server.address)
        self.page.wait_for_selector("body[data-ready]")
        return self

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return where a pixel of the fitted frame is on the page."""
        box = self.page.locator("#stage").bounding_box()
        assert box is not None
        width = WIDTH * self.aspect
        scale = min(box["width"] / width, box["height"] / HEIGHT) * 0.98
        left = box["x"] + (box["width"] - width * scale) / 2
        top = box["y"] + (box["height"] - HEIGHT * scale) / 2
        return left + x * self.aspect * scale, top + y * scale

    def click(self, x: float, y: float, button: Any = "left") -> None:
        """Click on a pixel of the frame, and wait until the edit is on disk."""
        before = len(self.drawn())
        self.page.mouse.click(*self.at(x, y), button=button)
        self.wait(lambda: len(self.drawn()) > before)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag over the frame, and wait until the edit is on disk."""
        before = len(self.drawn())
        self.page.mouse.move(*self.at(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.at(*end), steps=4)
        self.page.mouse.up()
        self.wait(lambda: len(self.drawn()) > before)

    def wait(self, condition: Any) -> None:
        end = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < end:
            if condition():
                return
            time.sleep(_POLL_SECONDS)
        raise AssertionError("waited too long")

    def until(self, expression: str) -> None:
        """Wait until JavaScript is true; playwright's own way breaks the page's policy."""
        try:
            self.wait(lambda: self.page.evaluate(expression))
        except AssertionError:
            guide = self.page.evaluate("document.querySelector('#guide')?.textContent")
            raise AssertionError(f"waited too long for {expression}; the guide: {guide}") from None

    def at_frame(self, frame: int) -> None:
        """Wait until this frame is named, and shown in the timeline, which is drawn later."""
        self.until(f"document.querySelector('#position').value.startsWith('{frame} ')")
        self.until(f"document.querySelector('#timeline').ariaValueNow === '{frame}'")

    def drawn(self) -> list[Path]:
        return sorted((self.project / "edits").glob("*.png"))

    def masks(self) -> list[int]:
        return sorted(int(path.stem) for path in (self.project / "masks").glob("0*.png"))

    def latest(self) -> Any:
        """Return the label map that was drawn last."""
        return read_label_map(self.drawn()[-1])

    def elsewhere(self, request: str) -> None:
        """Ask the server for something, as another tab does."""
        self.page.evaluate(f"import('/page/api.js').then((api) => api.{request})")

    def shown(self, frame: int = 0) -> Any:
        """Return the label map that the server gives this page for a frame."""
        letters = self.page.evaluate(
            """async (frame) => {
                const { loadLabels } = await import("/page/api.js");
                return new TextDecoder("ascii").decode((await loadLabels(frame)).labels);
            }""",
            frame,
        )
        return np.frombuffer(letters.encode("ascii"), np.uint8).reshape(HEIGHT, WIDTH)

    def pixel(self, x: float, y: float) -> tuple[int, int, int]:
        """Return the colour of the stage where a pixel of the fitted frame is."""
        left, top = self.at(x, y)
        box = self.page.locator("#stage").bounding_box()
        assert box is not None
        found = self.page.evaluate(
            """([x, y]) => Array.from(document.querySelector("#stage").getContext("2d")
                .getImageData(Math.floor(x), Math.floor(y), 1, 1).data)""",
            [left - box["x"], top - box["y"]],
        )
        return tuple(found[:3])

    def words(self) -> str:
        return str(self.page.locator("#hint").inner_text())

    def objects(self) -> int:
        return self.page.locator("#objects li").count()

    def track(self, button: str, wanted: list[int]) -> None:
        """Press a button that tracks, and wait until it is done."""
        self.page.locator(f"#track-{button}").click()
        self.wait(lambda: self.masks() == wanted)
        self.until("!document.querySelector('#track-forward').disabled")

    def keep(self, name: str) -> None:
        """Keep a picture for the docs, where that is asked for."""
        folder = os.environ.get("VOSTRACK_SCREENSHOTS")
        if folder:
            self.page.wait_for_timeout(250)
            self.page.screenshot(path=Path(folder) / f"{name}.png")
