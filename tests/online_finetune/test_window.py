"""Windows: inside the frame, around the objects, and back without a shift."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vostrack.errors import InputError
from vostrack.online_finetune.window import Window, WindowConfig, choose_window, mask_box


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
    mask = torch.zeros(1, 1, 120, 160)
    mask[..., 40:90, 50:110] = 1
    window = choose_window(mask_box(mask[0, 0] > 0), (120, 160), WindowConfig(pixels=96 * 96))
    back = window.paste(window.crop(mask), (120, 160))
    wrong = (back > 0.5) != (mask > 0.5)
    assert int(wrong.sum()) <= 4 * (50 + 60) // 8  # a few pixels of the outline
    assert mask_box(back[0, 0] > 0.5) == (50, 40, 110, 90)


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
