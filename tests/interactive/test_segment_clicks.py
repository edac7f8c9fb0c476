"""Masks from clicks and boxes, on drawn frames whose objects are known."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from vostrack.errors import InputError
from vostrack.interactive import Click, ClickFrame, ClickSegmenter, segment_clicks

SIZE = 128, 192


def disc(x: int, y: int, radius: int) -> Any:
    mask = np.zeros(SIZE, np.uint8)
    cv2.circle(mask, (x, y), radius, 1, -1)
    return mask.astype(bool)


LEFT, RIGHT = disc(56, 64, 30), disc(146, 60, 24)


@pytest.fixture(scope="module")
def image() -> Any:
    rng = np.random.default_rng(0)
    picture = np.empty((*SIZE, 3), np.uint8)
    picture[:] = 70, 110, 60
    picture[LEFT], picture[RIGHT] = (200, 60, 50), (60, 80, 210)
    noise = cv2.GaussianBlur(rng.normal(0, 30, (*SIZE, 3)).astype(np.float32), (0, 0), 1.5)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def segmenter() -> ClickSegmenter:
    return ClickSegmenter("cpu")


@pytest.fixture(scope="module")
def frame(segmenter: ClickSegmenter, image: Any) -> ClickFrame:
    return segmenter.open(image)


def overlap(mask: Any, truth: Any) -> float:
    return float((mask & truth).sum() / (mask | truth).sum())


def test_three_clicks_find_an_object(frame: ClickFrame) -> None:
    mask = frame.segment([Click(56, 64), Click(146, 60, inside=False), Click(70, 50)])
    assert mask.shape == SIZE
    assert mask.dtype == np.bool_
    assert overlap(mask, LEFT) > 0.85


def test_a_box_finds_an_object(frame: ClickFrame) -> None:
    mask = frame.segment([], (120, 34, 173, 87))
    assert overlap(mask, RIGHT) > 0.8
    assert not mask[:, :120].any()
    assert not mask[87:].any()


def test_clicks_are_always_answered_as_they_say(frame: ClickFrame) -> None:
    clicks = [Click(56, 64), Click(146, 60), Click(100, 10, inside=False), Click(56, 90, False)]
    mask = frame.segment(clicks)
    for click in clicks:
        assert bool(mask[click.y, click.x]) is click.inside


def test_every_piece_holds_a_click(frame: ClickFrame) -> None:
    clicks = [Click(56, 64), Click(146, 60)]
    count, pieces = cv2.connectedComponents(frame.segment(clicks).astype(np.uint8))
    assert set(range(1, count)) <= {int(pieces[c.y, c.x]) for c in clicks}


def test_the_mask_depends_on_the_clicks_alone(
    segmenter: ClickSegmenter, image: Any, frame: ClickFrame
) -> None:
    clicks = [Click(56, 64), Click(146, 60, inside=False)]
    frame.segment([Click(146, 60)])
    frame.segment([Click(56, 64), Click(10, 10, inside=False), Click(100, 100, inside=False)])
    np.testing.assert_array_equal(frame.segment(clicks), segmenter.open(image).segment(clicks))


def test_a_later_click_loses_nothing_elsewhere(frame: ClickFrame) -> None:
    both = frame.segment([Click(56, 64), Click(146, 60)])
    after = frame.segment([Click(56, 64), Click(146, 60), Click(100, 10, inside=False)])
    assert overlap(after & LEFT, both & LEFT) > 0.97
    assert overlap(after & RIGHT, both & RIGHT) > 0.97


def test_a_click_outside_may_come_first(frame: ClickFrame) -> None:
    mask = frame.segment([Click(146, 60, inside=False), Click(56, 64)])
    assert mask[64, 56]
    assert not mask[60, 146]


def test_the_function_is_the_class(image: Any, frame: ClickFrame) -> None:
    clicks = [Click(146, 60)]
    np.testing.assert_array_equal(
        segment_clicks(image, clicks, device="cpu"), frame.segment(clicks)
    )


def distances(x: int, y: int) -> Any:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.hypot(columns - x, rows - y)


def test_a_click_adds_to_a_mask_near_itself(frame: ClickFrame) -> None:
    start = (LEFT & (np.arange(SIZE[0]) > 52)[:, None]) | disc(146, 60, 10)
    after = frame.segment([Click(56, 44)], start=start)
    assert overlap(after & disc(56, 64, 50), LEFT) > overlap(start & disc(56, 64, 50), LEFT) + 0.05
    assert after[44, 56]
    assert (after >= start).all()
    changed = after & ~start
    assert (changed & LEFT).sum() > 0.8 * changed.sum()
    assert distances(56, 44)[changed].max() < 50


def test_a_click_cuts_a_part_out_of_a_mask(frame: ClickFrame) -> None:
    start = LEFT | disc(90, 100, 16) | RIGHT
    after = frame.segment([Click(94, 104, inside=False)], start=start)
    assert not after[104, 94]
    assert (after <= start).all()
    gone = start & ~after
    assert (gone & ~LEFT).sum() > 0.5 * (start & ~LEFT & ~RIGHT).sum()
    assert (gone & LEFT).sum() < 0.03 * LEFT.sum()
    assert not (gone & RIGHT).any()


def test_a_click_removes_a_separate_piece_and_nothing_else(frame: ClickFrame) -> None:
    off = Click(146, 60, inside=False)
    np.testing.assert_array_equal(frame.segment([off], start=LEFT | RIGHT), LEFT)
    kept = frame.segment([Click(150, 60), off], start=LEFT | RIGHT)
    assert kept[60, 150]
    assert not kept[60, 146]


def test_clicks_that_a_mask_agrees_with_change_nothing(frame: ClickFrame) -> None:
    clicks = [Click(56, 64), Click(146, 60, inside=False)]
    np.testing.assert_array_equal(frame.segment(clicks, start=LEFT), LEFT)


def test_an_empty_mask_is_no_start(frame: ClickFrame) -> None:
    clicks = [Click(146, 60)]
    empty = np.zeros(SIZE, np.bool_)
    np.testing.assert_array_equal(frame.segment(clicks, start=empty), frame.segment(clicks))
    with pytest.raises(InputError, match="at least one click inside"):
        frame.segment([Click(146, 60, inside=False)], start=empty)


@pytest.mark.parametrize(
    ("start", "box", "message"),
    [
        (LEFT[1:], None, "start: expected a bool mask of 128 x 192"),
        (LEFT.astype(np.uint8), None, "start: expected a bool mask .* got uint8"),
        (LEFT, (0, 0, 9, 9), "start: a mask is changed by clicks"),
    ],
)
def test_starts_that_cannot_be_used_are_refused(
    frame: ClickFrame, start: Any, box: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        frame.segment([Click(5, 5)], box, start=start)


@pytest.mark.parametrize("size", [(20, 300), (33, 17)])
def test_any_size_of_frame(segmenter: ClickSegmenter, size: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 255, (*size, 3), np.uint8)
    mask = segmenter.open(picture).segment([Click(size[1] - 1, size[0] - 1)])
    assert mask.shape == size


@pytest.mark.parametrize(
    ("clicks", "box", "message"),
    [
        ([Click(192, 5)], None, r"clicks: expected x in 0..191 .* got click 0 at \(192, 5\)"),
        ([Click(5, -1)], None, "clicks: expected x in"),
        ([Click(5, 5, inside=False)], None, "at least one click inside the object or a box"),
        ([], None, "at least one click inside"),
        ([], (5, 5, 5, 9), "box: expected 0 <= x0 < x1 <= 192"),
        ([], (0, 0, 193, 9), "box: expected 0 <= x0 < x1 <= 192"),
    ],
)
def test_prompts_that_say_nothing_are_refused(
    frame: ClickFrame, clicks: list[Click], box: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        frame.segment(clicks, box)


def test_a_frame_of_another_type_is_refused(segmenter: ClickSegmenter) -> None:
    with pytest.raises(InputError, match="frame: expected an array"):
        segmenter.open(np.zeros((8, 8), np.uint8))
