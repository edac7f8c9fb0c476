"""How the page of ``vostrack studio`` behaves with a long video: seconds to an answer, and memory.

A video is made, the page is opened in Chromium, and the video is tracked with the preset ``fast``.
While it is tracked, strokes are painted. Measured is the time from each pointer event to the end of
the picture that shows it, in the page. Then frames all over the video are visited. Memory is what
the browser's processes hold at that time, and the JavaScript heap.

    python benchmarks/studio_page.py [--seconds 120] [--for 60] [--json FILE]

Needs ``vostrack[studio]``, playwright and Chromium; reads /proc, so it runs on Linux.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from record import begin_record, benchmark_parser, finish_record

from vostrack.video import VideoWriter

WIDTH, HEIGHT, RATE = 1920, 1080, 25
VISITS = 60

# Called before anything else hears of the pointer; the second callback comes after the painting.
LISTEN = """() => {
    window.delays = [];
    window.longFrames = [];
    new PerformanceObserver((list) =>
        window.longFrames.push(...list.getEntries().map((one) => one.duration)),
    ).observe({ type: "long-animation-frame" });
    document.querySelector("#stage").addEventListener("pointermove", (event) => {
        requestAnimationFrame(() => setTimeout(() =>
            window.delays.push(performance.now() - event.timeStamp)));
    }, true);
}"""


def make_video(path: Path, frames: int) -> None:
    """Write a video of a disc that moves over a pattern."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    ground = np.stack([rows % 200, columns % 230, (rows + columns) % 210], -1).astype(np.uint8)
    with VideoWriter(path, RATE) as writer:
        for number in range(frames):
            x, y = 960 + 600 * np.sin(number / 90), 540 + 300 * np.cos(number / 70)
            image = ground.copy()
            top, left = int(y) - 120, int(x) - 120
            part = image[top : top + 240, left : left + 240]
            part[np.hypot(*(np.mgrid[:240, :240] - 120)) < 120] = 220, 60, 40
            writer.add(image, number / RATE)


def say(stage: str) -> None:
    """Tell what is done now."""
    print(f"{time.strftime('%H:%M:%S')} {stage}", file=sys.stderr, flush=True)


def start_server(video: Path) -> tuple[subprocess.Popen[str], str]:
    """Start ``vostrack studio``; return its process and address."""
    command = [sys.executable, "-m", "vostrack", "studio", str(video), "--preset", "fast"]
    process = subprocess.Popen([*command, "--no-browser"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"http://\S+", line):
            return process, found[0]
    raise SystemExit("the server ended without an address")


def browser_megabytes() -> float:
    """Return what the processes below this one hold alone or share, without the server's."""
    total = 0
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if b"chrom" in (path / "cmdline").read_bytes().split(b"\0")[0] and _is_ours(path):
                found = re.search(r"^Pss:\s+(\d+)", (path / "smaps_rollup").read_text(), re.M)
                total += int(found[1]) if found else 0
        except OSError:
            continue
    return round(total / 1024, 1)


def _is_ours(path: Path) -> bool:
    while path.name not in ("0", "1"):
        if path.name == str(os.getpid()):
            return True
        found = re.search(r"^PPid:\s+(\d+)", (path / "status").read_text(), re.M)
        path = path.with_name(found[1] if found else "0")
    return False


def until(page: Any, expression: str, seconds: float = 600) -> None:
    """Wait until JavaScript is true."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        if time.monotonic() > end:
            raise SystemExit(f"waited too long for {expression}")
        page.wait_for_timeout(50)


def paint_while_tracking(page: Any, seconds: float) -> tuple[list[float], list[float]]:
    """Paint strokes; return milliseconds.

    Returns:
        From each pointer event to its picture, and of each frame of the browser that took more
        than 50, with what the page and the browser did in it.
    """
    box = page.locator("#stage").bounding_box()
    page.keyboard.press("b")
    page.evaluate(LISTEN)
    end, turn = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        y = box["y"] + box["height"] * (0.3 + 0.4 * (turn % 5) / 5)
        page.mouse.move(box["x"] + box["width"] * 0.3, y)
        page.mouse.down()
        for step in range(20):
            page.mouse.move(box["x"] + box["width"] * (0.3 + 0.02 * step), y + step)
            page.wait_for_timeout(16)
        page.mouse.up()
        turn += 1
    return page.evaluate("window.delays"), page.evaluate("window.longFrames")


def visit(page: Any, count: int) -> None:
    """Show frames all over the video."""
    box = page.locator("#timeline").bounding_box()
    for k in range(VISITS):
        frame = ((k + 1) * 7919) % count
        before = page.evaluate("document.querySelector('#position').value")
        x = box["x"] + box["width"] * (frame + 0.5) / count
        page.mouse.click(x, box["y"] + box["height"] / 2)
        # A pixel of the timeline stands for several frames, so the number is not known exactly.
        until(page, f"document.querySelector('#position').value !== {json.dumps(before)}")


def measure(page: Any, seconds: float) -> dict[str, Any]:
    """Paint, track, and visit frames; return the figures."""
    say("painting the first mask")
    begin = browser_megabytes()
    stage = page.locator("#stage").bounding_box()
    page.keyboard.press("b")
    page.mouse.click(stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] * 0.75)
    until(page, "document.querySelector('#undo').title.includes('paint')")
    page.keyboard.press("t")
    until(page, "document.querySelector('#progress-text').textContent.includes(' of ')")
    say("painting while it is tracked")
    delays, long_frames = paint_while_tracking(page, seconds)
    tracked = page.locator("#progress-text").inner_text()
    page.locator("#track-stop").click()
    until(page, "!document.querySelector('#track-forward').disabled")
    painted = browser_megabytes()
    say("visiting frames")
    visit(page, int(page.locator("#timeline").get_attribute("aria-valuemax")) + 1)
    heap = page.evaluate("performance.memory.usedJSHeapSize / 2 ** 20")
    return {
        "pointer_events": len(delays),
        "milliseconds_median": round(float(np.median(delays)), 1),
        "milliseconds_95_percent": round(float(np.percentile(delays, 95)), 1),
        "milliseconds_worst": round(float(max(delays)), 1),
        "events_over_100_milliseconds": sum(delay > 100 for delay in delays),
        "milliseconds_of_long_frames": [round(one) for one in long_frames],
        "tracked_meanwhile": tracked,
        "browser_megabytes_at_first": begin,
        "browser_megabytes_after_painting": painted,
        f"browser_megabytes_after_{VISITS}_frames": browser_megabytes(),
        "heap_megabytes": round(heap, 1),
    }


def main() -> None:
    """Make the video, open the page, and measure."""
    from playwright.sync_api import sync_playwright

    parser = benchmark_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="length of the video")
    parser.add_argument("--video", type=Path, help="use this video instead of making one")
    parser.add_argument("--for", type=float, default=60, dest="duration", help="seconds to paint")
    arguments = parser.parse_args()
    record = begin_record("studio: the page while a long video is tracked", ("torch", "fastapi"))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        video = Path(folder) / "long.mp4"
        if arguments.video is None:
            say("making a video")
            make_video(video, round(arguments.seconds * RATE))
        else:
            shutil.copyfile(arguments.video, video)
        server, address = start_server(video)
        found = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            page.set_default_timeout(600_000)
            page.goto(address)
            page.wait_for_selector("body[data-ready]")
            record["page"] = measure(page, arguments.duration)
        finally:
            server.terminate()
            server.wait()
            browser.close()
    finish_record(record, arguments.json)


if __name__ == "__main__":
    main()
