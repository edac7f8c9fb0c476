"""Opening a video in a real browser: from the list, by path, and by dropping it."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.studio.browser.studio_page import FRAMES, HEIGHT, WIDTH, Server, Servers, StudioPage
from tests.studio.browser.window import Window
from tests.studio.conftest import write_frames
from tests.studio.damaged_video import cut, write_avi
from vostrack.video import VideoWriter

if TYPE_CHECKING:
    from playwright.sync_api import Dialog

HINT = "document.querySelector('#hint').textContent"

# A drop event with files, as the browser makes it when something is dragged onto the page.
DROP = """({ files, folder }) => {
    const made = files.map(({ name, data }) =>
        new File([Uint8Array.from(atob(data), (one) => one.charCodeAt(0))], name));
    const entries = made.map((file) => (
        { isFile: true, name: file.name, file: (take) => take(file) }));
    let read = false;
    const entry = { isDirectory: true, name: folder, createReader: () => ({
        readEntries: (take) => { take(read ? [] : entries); read = true; } }) };
    const items = folder ? [{ webkitGetAsEntry: () => entry }] : [];
    const event = new Event("drop", { bubbles: true, cancelable: true });
    Object.defineProperty(event, "dataTransfer", { value: { items, files: made } });
    document.querySelector("#stage").dispatchEvent(event);
}"""


def drop(page: StudioPage, files: dict[str, bytes], folder: str | None = None) -> None:
    import base64

    listed = [
        {"name": name, "data": base64.b64encode(data).decode()} for name, data in files.items()
    ]
    page.page.evaluate(DROP, {"files": listed, "folder": folder})


def unlike_others(clip: Path, name: str) -> bytes:
    """Return a video with other bytes than those of other tests, which are known in the folder."""
    box = b"free" + name.encode()
    return clip.read_bytes() + (4 + len(box)).to_bytes(4, "big") + box


def name_of(page: StudioPage) -> str:
    return str(page.page.locator("#video-name").inner_text())


def test_a_video_is_opened_from_the_list_and_by_its_path(page: StudioPage, clip: Path) -> None:
    first = name_of(page)
    write_frames(page.server.folder / f"frames-of-{first}", 4)
    page.press("o")
    page.page.get_by_role("button", name=f"frames-of-{first}", exact=True).click()
    page.until("document.querySelector('#position').value === '0 / 3'")
    assert name_of(page) == f"frames-of-{first}"
    page.press("o")
    page.keep("open")
    page.page.get_by_label("Path").fill("/etc/passwd")
    page.press("Enter")
    page.until("document.querySelector('#open-words').textContent.includes('not in a folder')")
    page.page.get_by_label("Path").fill(str(page.server.folder / first))
    page.press("Enter")
    page.until(f"document.querySelector('#video-name').textContent === {json.dumps(first)}")
    assert page.page.locator("dialog[open]").count() == 0


def test_a_dropped_video_is_copied_into_a_project_of_its_own(page: StudioPage, clip: Path) -> None:
    name = f"dropped-{name_of(page)}"
    video = unlike_others(clip, name)
    drop(page, {name: video})
    page.until(f"document.querySelector('#video-name').textContent === {json.dumps(name)}")
    project = (page.server.folder / name).with_suffix(".vostrack")
    assert (project / "video" / name).read_bytes() == video
    page.project = project
    page.click(252, 54)
    assert page.latest()[54, 252] == 1
    drop(page, {"film.mp4": video})
    page.until(f"{HINT} === 'film.mp4 is known here as {name}: its project is open.'")
    assert page.objects() == 1


def test_a_video_that_was_renamed_goes_on_and_that_is_said(page: StudioPage, clip: Path) -> None:
    before = page.server.folder / f"before-{name_of(page)}"
    before.write_bytes(unlike_others(clip, before.name))
    page.server.open(before)
    page.until(f"document.querySelector('#video-name').textContent === {json.dumps(before.name)}")
    page.project = before.with_suffix(".vostrack")
    page.click(252, 54)
    page.server.open(page.server.folder / before.name.removeprefix("before-"))
    page.until("document.querySelectorAll('#objects li').length === 0")
    after = before.rename(before.with_name(f"after-{before.name}"))
    page.server.open(after)
    page.until(f"{HINT}.startsWith('This video was named {before.name} when you worked on it')")
    assert (name_of(page), page.objects()) == (after.name, 1)


def test_a_dropped_folder_of_frames_opens(page: StudioPage, tmp_path: Path) -> None:
    frames = write_frames(tmp_path / "frames", 3)
    files = {path.name: path.read_bytes() for path in sorted(frames.iterdir())}
    folder = f"folder-{name_of(page)}"
    drop(page, {**files, "notes.txt": b"left out"}, folder)
    page.until("document.querySelector('#position').value === '0 / 2'")
    assert (page.server.folder / f"{folder}.vostrack" / "video" / "00002.png").is_file()
    assert name_of(page) == folder


def test_a_folder_of_frames_is_chosen(page: StudioPage, tmp_path: Path) -> None:
    frames = write_frames(tmp_path / f"chosen-{name_of(page)}", 4)
    page.press("o")
    page.page.locator("#open-folder").set_input_files(frames)
    page.until("document.querySelector('#position').value === '0 / 3'")


def test_what_cannot_be_dropped_is_said(page: StudioPage) -> None:
    before = name_of(page)
    words = "document.querySelector('#open-words').textContent"
    drop(page, {"notes.txt": b"text"})
    page.until(f"{words}.includes('expected one video, or images')")
    drop(page, {"one.mp4": b"a", "two.MOV": b"b"})
    page.until(f"{words}.startsWith('One video can be opened at a time')")
    drop(page, {"notes.txt": b"text", "more.txt": b"text"})
    page.until(f"{words} === 'There is no video and no image among these files.'")
    drop(page, {"large.mp4": bytes(4_000_001)})
    page.until(f"{words}.includes('expected at most 3.815 MB')")
    drop(page, {"broken.mp4": b"no video"})
    page.until(f"{words}.includes('broken.mp4')")
    assert name_of(page) == before
    assert not list(page.server.folder.glob("broken*"))


def test_the_other_tab_follows(page: StudioPage, window: Window) -> None:
    other = StudioPage(window.context.new_page(), page.server, page.project).load()
    name = f"followed-{name_of(page)}"
    write_frames(page.server.folder / name, 3)
    page.server.open(page.server.folder / name)
    for one in (page, other):
        one.until(f"document.querySelector('#video-name').textContent === {json.dumps(name)}")


def test_tracking_is_not_stopped_without_a_question(page: StudioPage) -> None:
    first = name_of(page)
    other = f"frames-of-{first}"
    write_frames(page.server.folder / other, 4)
    page.click(252, 54)
    page.page.locator("#track-forward").click()
    page.page.locator("#track-pause").click()
    page.until("document.querySelector('#progress-text').textContent.startsWith('Paused')")
    questions: list[str] = []

    def refuse(dialog: Dialog) -> None:
        questions.append(dialog.message)
        dialog.dismiss()

    page.page.once("dialog", refuse)
    page.press("o")
    page.page.get_by_role("button", name=other, exact=True).click()
    assert questions == [
        f"Opening another video stops the tracking of {first}. Finished frames stay. Stop it?"
    ]
    page.page.once("dialog", lambda dialog: dialog.accept())
    page.page.get_by_role("button", name=other, exact=True).click()
    page.until("document.querySelector('#position').value === '0 / 3'")


def test_what_was_said_of_one_video_is_not_said_of_another(page: StudioPage) -> None:
    hint = "document.querySelector('#hint').textContent"
    page.press("d")
    page.until(f"{hint} === 'No frame is tracked yet.'")
    write_frames(page.server.folder / f"next-{name_of(page)}", 4)
    page.server.open(page.server.folder / f"next-{name_of(page)}")
    page.until("document.querySelector('#position').value === '0 / 3'")
    assert page.words() == ""
    # A request that was on its way: the other video is shown, and nothing is said.
    page.page.evaluate("import('/page/api.js').then(({ useProject }) => useProject('before'))")
    page.press(".")
    page.until("document.querySelector('#position').value === '1 / 3'")
    assert page.words() == ""


def test_without_a_video_the_page_asks_for_one(
    window: Window, servers: Servers, tmp_path: Path, clip: Path
) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "clip.mp4").write_bytes(clip.read_bytes())
    server = Server(servers, folder)
    try:
        page = StudioPage(window.tab, server, folder / "clip.vostrack").load()
        page.page.get_by_role("button", name="clip.mp4", exact=True).click()
        page.until(f"document.querySelector('#position').value === '0 / {FRAMES - 1}'")
    finally:
        server.kill()


def test_a_video_of_wide_pixels_is_shown_as_wide_as_it_is(page: StudioPage) -> None:
    video = page.server.folder / f"wide-{name_of(page)}"
    with VideoWriter(video, 25.0, pixel_aspect=Fraction(2)) as writer:
        for time in (0.0, 0.04):
            writer.add(np.full((HEIGHT, WIDTH, 3), 90, np.uint8), time)
    page.server.open(video)
    page.until(f"document.querySelector('#video-name').textContent === {json.dumps(video.name)}")
    wide = StudioPage(page.page, page.server, video.with_suffix(".vostrack"))
    wide.aspect = 2.0
    wide.until("document.querySelector('#position').value === '0 / 1'")
    wide.click(100, 130)
    rows, columns = np.nonzero(wide.latest())
    assert (columns.mean(), rows.mean()) == pytest.approx((100, 130), abs=2)


def test_a_cut_video_is_said_to_be_so_and_goes_on_being_so(page: StudioPage) -> None:
    assert page.page.locator("#trouble").is_hidden()
    video = write_avi(page.server.folder / f"cut-{name_of(page)}.avi", cut)
    page.server.open(video)
    page.until(f"document.querySelector('#video-name').textContent === {json.dumps(video.name)}")
    said = "document.querySelector('#hint').textContent.includes('only its first')"
    page.until(said)
    page.press("d")
    page.until(f"!{said}")
    page.page.get_by_role("button", name="Damaged").click()
    page.until(said)
    page.load()
    page.until(said)
