"""Windows: inside the frame, around the objects, and back without a shift."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vostrack.errors import InputError
from vostrack.online_finetune.target.places import find_places
from vostrack.online_finetune.target.window import (
    Window,
    WindowConfig,
    choose_regions,
    choose_shared_window,
    choose_window,
    mask_box,
    union_box,
)


@given(
    height=st.integers(17, 300),
    width=st.integers(17, 300),
    data=st.data(),
)
@settings(max_examples=80, deadline=None)
def test_a_window_holds_the_box_within_the_frame(
    height: int, width: int, data: st.DataObject
) -> None:
    x0, y0 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    x1, y1 = data.draw(st.integers(x0 + 1, width)), data.draw(st.integers(y0 + 1, height))
    config = WindowConfig(pixels=128 * 128, step=16)
    window = choose_window((x0, y0, x1, y1), (height, width), config)
    a, b, c, d = window.box
    assert 0 <= a <= x0
    assert x1 <= c <= width
    assert 0 <= b <= y0
    assert y1 <= d <= height
    assert all(side % 16 == 0 and side >= 32 for side in window.size)
    assert window.size[0] * window.size[1] <= 1.5 * config.pixels


def test_the_whole_frame_where_there_is_no_box() -> None:
    assert choose_window(None, (90, 160), WindowConfig()).box == (0, 0, 160, 90)


def test_what_is_cut_and_pasted_stays_in_place() -> None:
    mask = torch.zeros(1, 1, 300, 360)
    mask[..., 110:160, 100:160] = 1
    config = WindowConfig(pixels=96 * 96, margin=0)
    window = choose_window(mask_box(mask[0, 0] > 0), (300, 360), config)
    assert 0 < window.box[0] < 360 - window.box[2]
    assert 0 < window.box[1] < 300 - window.box[3]
    back = window.paste(window.spread(window.crop(mask)), (300, 360))
    wrong = (back > 0.5) != (mask > 0.5)
    assert int(wrong.sum()) <= 4 * (50 + 60) // 8  # a few pixels of the outline
    assert mask_box(back[0, 0] > 0.5) == (100, 110, 160, 160)


@pytest.mark.parametrize("side", [64, 96, 160])
def test_bytes_are_cut_as_floats_are(side: int) -> None:
    generator = torch.Generator().manual_seed(side)
    frame = torch.randint(0, 256, (1, 3, 120, 150), generator=generator).float() / 255
    kept, window = frame.clone(), Window((20, 10, 116, 106), (side, side))
    found = window.crop_bytes(frame)
    assert found.dtype == torch.uint8
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(frame, kept)
    torch.testing.assert_close(found / 255, window.crop(frame), atol=1.01 / 255, rtol=0)


@given(
    boxes=st.lists(
        st.tuples(st.integers(0, 380), st.integers(0, 280), st.integers(5, 90), st.integers(5, 90)),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=80, deadline=None)
def test_a_region_holds_the_window_of_its_object(boxes: list[tuple[int, int, int, int]]) -> None:
    frame, config = (300, 400), WindowConfig(pixels=160 * 160)
    corners = [(x, y, min(400, x + w), min(300, y + h)) for x, y, w, h in boxes]
    around = union_box(corners)
    assert around is not None
    assert all(
        around[k] <= box[k] and around[k + 2] >= box[k + 2] for box in corners for k in (0, 1)
    )
    window = choose_window(around, frame, config)
    regions = choose_regions(window, corners, frame, config)
    rows, columns = (side // 16 for side in window.size)
    if regions is None:
        return
    assert len(corners) > 1
    height, width = regions.size
    assert height * width <= 0.8 * rows * columns
    cell_x = (window.box[2] - window.box[0]) / columns
    cell_y = (window.box[3] - window.box[1]) / rows
    for box, (y, x) in zip(corners, regions.corners, strict=True):
        assert 0 <= y <= rows - height
        assert 0 <= x <= columns - width
        x0, y0, x1, y1 = choose_window(box, frame, config).box
        assert window.box[0] + x * cell_x <= max(x0, window.box[0]) + 1e-6
        assert window.box[1] + y * cell_y <= max(y0, window.box[1]) + 1e-6
        assert window.box[0] + (x + width) * cell_x >= min(x1, window.box[2]) - 1e-6
        assert window.box[1] + (y + height) * cell_y >= min(y1, window.box[3]) - 1e-6


def test_small_objects_far_apart_are_decoded_apart() -> None:
    boxes, frame, config = [(10, 10, 40, 40), (350, 250, 380, 280)], (300, 400), WindowConfig()
    window = choose_window(union_box(boxes), frame, config)
    regions = choose_regions(window, boxes, frame, config)
    assert regions is not None
    assert regions.corners[0] == (0, 0)
    assert regions.size[0] * regions.size[1] < 0.5 * window.size[0] * window.size[1] / 256
    assert choose_regions(choose_window(boxes[0], frame, config), boxes[:1], frame, config) is None


def test_places_are_boxes_and_areas() -> None:
    masks = torch.zeros(3, 20, 30)
    masks[0, 3:8, 4:10] = 0.9
    masks[0, 5, 6] = 0.2
    masks[1] = 0.5
    masks[2, 19, 29] = 1
    found = find_places(masks)
    assert [place.box for place in found] == [(4, 3, 10, 8), None, (29, 19, 30, 20)]
    assert [place.area for place in found] == [29, 0, 1]
    assert union_box([]) is None


def test_positions_are_frame_pixels_of_cell_centres() -> None:
    window = Window((10, 20, 42, 84), (32, 16))
    places = window.positions(torch.device("cpu"))
    assert places.shape == (1, 2, 2, 1)
    assert places[0, 0].tolist() == [[26.0], [26.0]]
    assert places[0, 1].tolist() == [[36.0], [68.0]]


def test_bad_numbers_are_named() -> None:
    with pytest.raises(InputError, match="pixels"):
        WindowConfig(pixels=10)
    with pytest.raises(InputError, match="range"):
        WindowConfig(grow=0.5)


FAR_APART = ((20, 20, 60, 60), (700, 380, 760, 440))


def sharpness(window: Window) -> float:
    return window.size[1] / (window.box[2] - window.box[0])


def test_far_objects_are_seen_as_sharply_as_the_pixels_of_both_allow() -> None:
    frame, config = (480, 854), WindowConfig(crowd=2.0, step=16)
    plain = choose_shared_window(FAR_APART, frame, replace(config, crowd=1.0))
    crowd = choose_shared_window(FAR_APART, frame, config)
    assert plain == choose_window(union_box(FAR_APART), frame, config)
    assert crowd.box == plain.box
    assert sharpness(crowd) == pytest.approx(2**0.5 * sharpness(plain), rel=0.05)
    # More objects do not ask for more than ``crowd``.
    assert choose_shared_window([*FAR_APART, FAR_APART[0]], frame, config) == crowd


def test_a_crowd_costs_nothing_where_an_object_alone_would_be_seen_no_better() -> None:
    frame, config = (480, 854), WindowConfig(crowd=2.0, step=16)
    large = ((100, 40, 700, 440), (120, 60, 720, 460))
    for boxes in (large, large[:1], ()):
        plain = choose_shared_window(boxes, frame, replace(config, crowd=1.0))
        assert choose_shared_window(boxes, frame, config).size[0] <= plain.size[0] + 32
    near = ((100, 100, 120, 120), (110, 110, 130, 130))
    assert sharpness(choose_shared_window(near, frame, config)) <= 1.05 * config.magnify


def test_a_crowd_under_one_is_an_error() -> None:
    with pytest.raises(InputError, match="crowd"):
        WindowConfig(crowd=0.5)
