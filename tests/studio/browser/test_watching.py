"""Tracking, watching and correcting in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.studio.browser.studio_page import FRAMES, StudioPage

if TYPE_CHECKING:
    from playwright.sync_api import Route

LATER = list(range(1, FRAMES))


def test_frames_appear_as_they_are_made_and_the_timeline_tells_of_them(page: StudioPage) -> None:
    page.click(252, 54)
    page.track("forward", LATER)
    page.at_frame(FRAMES - 1)
    timeline = page.page.locator("#timeline")
    page.wait(lambda: "tracked" in (timeline.get_attribute("aria-valuetext") or ""))
    assert timeline.get_attribute("aria-valuenow") == str(FRAMES - 1)
    assert page.shown(5)[54, 257] == 1
    page.keep("track")
    page.press("x")
    page.page.mouse.click(*page.at(20, 200))  # there is no mask
    page.until("document.querySelector('#hint').textContent.includes('agrees')")
    assert len(page.drawn()) == 1
    page.click(257, 54)  # a tracked mask is where clicks start
    assert page.latest()[54, 257] == 0
    assert page.latest()[54, 257 - 30] == 1


def says(page: StudioPage, words: str, button: str | None) -> None:
    """Wait until the guide says something, and marks this button or none."""
    page.until(f"document.querySelector('#guide').textContent.includes({words!r})")
    marked = "[...document.querySelectorAll('.primary')].map((b) => b.id).join()"
    page.until(f"{marked} === {(button or '')!r}")


def test_a_line_says_what_comes_next(page: StudioPage) -> None:
    says(page, "click on the object", None)
    page.press("b")
    says(page, "paint the object", None)
    page.click(252, 54)
    says(page, "2 of 4", "track-forward")
    page.press("End")
    says(page, "in frame 0", None)
    page.press("Home")
    page.at_frame(0)
    page.page.locator("#track-forward").click()
    says(page, "3 of 4", None)
    page.until("document.querySelector('#progress-text').textContent.includes(' of ')")
    page.page.locator("#track-stop").click()
    says(page, "Forward goes on from here", "track-forward")
    page.page.locator("#track-forward").click()
    page.until("!document.querySelector('#track-forward').disabled")
    says(page, "4 of 4", "export")
    page.at_frame(FRAMES - 1)  # the picture follows a moment after the news
    page.click(100, 54)
    says(page, "You changed this frame", "track-forward")


def test_pause_go_on_and_stop(page: StudioPage) -> None:
    page.click(252, 54)
    page.page.locator("#track-forward").click()
    page.page.locator("#track-pause").click()
    page.until("document.querySelector('#progress-text').textContent.startsWith('Paused')")
    assert page.page.locator("#track-pause").inner_text() == "Resume"
    page.page.wait_for_timeout(100)
    done = page.masks()
    page.page.wait_for_timeout(200)
    assert page.masks() == done
    assert len(done) < FRAMES - 1
    page.page.locator("#track-pause").click()
    page.wait(lambda: page.masks() == LATER)
    page.until("!document.querySelector('#track-forward').disabled")
    page.press("Home", ".", ".")
    page.at_frame(2)
    page.page.locator("#track-forward").click()  # on from a frame that was tracked
    page.page.locator("#track-pause").click()
    page.page.locator("#track-stop").click()
    page.until("document.querySelector('#progress-text').textContent === 'Not tracking'")


def test_a_correction_is_marked_kept_and_tracked_on_from(page: StudioPage) -> None:
    page.click(252, 54)
    page.page.get_by_label("Show frames as they are tracked").uncheck()
    page.track("forward", LATER)
    page.press(".", ".", ".")
    page.at_frame(3)
    page.press("b")
    page.click(20, 120)
    corrected = page.latest()
    assert corrected[120, 20] == 1
    stamp = (page.project / "masks" / "00005.png").stat().st_mtime_ns
    page.page.locator("#track-forward").click()
    page.wait(lambda: (page.project / "masks" / "00005.png").stat().st_mtime_ns != stamp)
    page.until("!document.querySelector('#track-forward').disabled")
    np.testing.assert_array_equal(page.shown(3), corrected)
    assert page.shown(5)[120, 22] == 1
    text = "document.querySelector('#timeline').getAttribute('aria-valuetext')"
    page.until(f"{text} === 'Frame 3, drawn by hand'")
    page.keep("correct")
    page.page.locator("#drop-correction").click()
    page.until("document.querySelector('#drop-correction').disabled")
    assert page.shown(3)[120, 20] == 0


def test_backwards_and_between_two_corrections(page: StudioPage) -> None:
    page.press(".", ".")
    page.at_frame(2)
    page.click(252, 54)
    page.track("backward", [0, 1])
    page.press("End")
    page.at_frame(FRAMES - 1)
    page.press("b")
    page.click(60, 200)
    page.track("between", [0, 1, 3, 4])
    assert page.shown(3)[54, 253] == 1
    assert page.shown(4)[200, 61] == 1


def test_an_object_comes_and_goes_midway(page: StudioPage) -> None:
    page.click(252, 54)
    page.press(".", ".")
    page.at_frame(2)
    page.press("n", "b")
    page.until("document.querySelectorAll('#objects li').length === 2")
    page.click(60, 200)
    page.press(".", ".")
    page.at_frame(4)
    page.page.get_by_role("button", name="Object 1 ends before this frame").click()
    page.until("document.querySelector('#undo').title.includes('end Object 1')")
    page.press("Home")
    page.at_frame(0)
    page.track("forward", [1, 2, 3, 4, 5])
    ids = [set(np.unique(page.shown(frame)).tolist()) - {0} for frame in range(FRAMES)]
    assert ids == [{1}, {1}, {1, 2}, {1, 2}, {2}, {2}]


def test_an_ended_object_is_gone_at_once_until_that_is_undone(page: StudioPage) -> None:
    page.click(252, 54)
    page.track("forward", LATER)
    page.at_frame(FRAMES - 1)
    masked = page.pixel(258, 54)
    page.page.get_by_role("button", name="Object 1 ends before this frame").click()
    page.wait(lambda: page.pixel(258, 54) != masked)
    assert not page.shown(FRAMES - 1).any()
    assert page.shown(FRAMES - 2).any()
    page.press("Control+z")
    page.wait(lambda: page.pixel(258, 54) == masked)
    assert page.shown(FRAMES - 1).any()


def test_a_deleted_object_is_gone_until_that_is_undone(page: StudioPage) -> None:
    page.click(252, 54)
    page.track("forward", LATER)
    page.at_frame(FRAMES - 1)
    page.page.locator("#export").click()
    page.until("!document.querySelector('#export-link').hidden")
    page.page.get_by_role("button", name="Delete Object 1").click()
    says(page, "1 of 4", None)
    page.until("/^Object 1 is deleted. Undo/.test(document.querySelector('#hint').textContent)")
    assert page.page.locator("#export-link").is_hidden()
    text = "document.querySelector('#timeline').getAttribute('aria-valuetext')"
    page.until(f"{text}.endsWith('not tracked')")
    page.click(252, 54)
    assert set(np.unique(page.latest())) == {0, 2}
    says(page, "2 of 4", "track-both")
    assert not page.shown(3).any()
    title = "document.querySelector('#redo').title"
    for _ in range(3):
        before = page.page.evaluate(title)
        page.press("Control+z")
        page.until(f"{title} !== {before!r}")
    page.until(f"{title}.includes('delete')")
    says(page, "4 of 4", "export")
    assert page.shown(3)[54, 255] == 1


def test_news_that_come_while_everything_is_loaded_are_kept(page: StudioPage) -> None:
    """What is loaded is older than they are."""
    page.click(252, 54)
    page.page.locator("#add-object").click()
    page.wait(lambda: page.objects() == 2)

    answered: list[bool] = []

    def slowly(route: Route) -> None:
        old = route.fetch()
        first = not answered
        answered.append(False)
        if first:
            page.page.evaluate(
                """async () => {
                    const { addObject } = await import("/page/api.js");
                    await addObject();
                }"""
            )
            page.page.wait_for_timeout(300)  # the news arrive
        route.fulfill(response=old)
        answered[-1] = True

    page.page.route("**/api/state*", slowly)
    page.page.get_by_role("button", name="Delete Object 2").click()
    for _ in range(100):  # the handler runs only while playwright waits
        page.page.wait_for_timeout(50)
        if answered and all(answered):
            break
    page.page.wait_for_timeout(300)
    page.page.unroute("**/api/state*")
    page.wait(lambda: page.objects() == 2)


def test_the_next_doubtful_frame(page: StudioPage) -> None:
    page.press("d")
    page.until("document.querySelector('#hint').textContent === 'No frame is tracked yet.'")
    page.press(".", ".")
    page.at_frame(2)
    page.click(252, 54)
    says(page, "2 of 4", "track-both")
    page.track("forward", LATER[2:])
    says(page, "Frames 0–1 have no mask: go to frame 2 and press Backward", "export")
    page.press("d")
    page.at_frame(0)
    page.until("document.querySelector('#hint').textContent === 'Frames 0–1 have no mask.'")
    page.page.locator("#export").click()
    page.until("/ready. Frames 0–1 have/.test(document.querySelector('#hint').textContent)")
    page.press(".", ".")
    page.at_frame(2)
    page.track("backward", [0, 1, *LATER[2:]])
    page.press("d")
    page.until("document.querySelector('#hint').textContent.startsWith('None found')")
    video = page.project.with_suffix(".mp4")
    other = video.with_name(f"other-{video.name}")
    other.write_bytes(video.read_bytes())
    page.server.open(other)
    (page.project / "tracked.json").unlink()  # as after a kill: nobody knows the presence
    page.server.open(video)
    page.load()
    page.press("d")
    page.at_frame(1)
    assert "doubtful" in str(page.page.locator("#timeline").get_attribute("aria-valuetext"))


def test_play_shows_every_frame_in_time_and_ends(page: StudioPage) -> None:
    page.press("Space")
    page.at_frame(FRAMES - 1)
    page.until("document.querySelector('#play').textContent === 'Play'")


def test_playing_in_a_loop_begins_again_until_it_is_stopped(page: StudioPage) -> None:
    page.page.evaluate("""() => {
        window.seen = [];
        new MutationObserver(() => window.seen.push(
            parseInt(document.querySelector("#position").value)))
            .observe(document.querySelector("#position"), { childList: true });
    }""")
    page.page.get_by_label("Loop").check()
    page.press("Space")
    page.until("window.seen.filter((frame, k) => k && frame < window.seen[k - 1]).length >= 2")
    page.press("Space")
    page.until("document.querySelector('#play').textContent === 'Play'")


def test_quick_steps_are_not_lost(page: StudioPage) -> None:
    page.press(".", ".", ".")
    page.at_frame(3)
    page.press(",")
    page.at_frame(2)
    page.page.locator("#timeline").focus()
    page.press("ArrowRight")
    page.at_frame(3)
    box = page.page.locator("#timeline").bounding_box()
    assert box is not None
    page.page.mouse.click(box["x"] + box["width"] * 0.99, box["y"] + 20)
    page.at_frame(FRAMES - 1)


def test_what_an_export_does_not_keep_is_said(page: StudioPage) -> None:
    page.click(252, 54)
    page.page.locator("#export-format").select_option("davis")
    page.page.locator("#export").click()
    page.until("document.querySelector('#hint').textContent.includes('does not keep')")
    assert "The format does not keep the names of objects" in page.words()
