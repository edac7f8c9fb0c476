"""Gray masks of several objects in video range, 16 to 235."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vostrack.masks import read_first_mask

Save = Callable[..., Path]
SIZE = (120, 160)


@pytest.mark.parametrize(
    "values", [(126, 235), (128, 235), (127, 235), (89, 162, 235), (85, 170, 235)]
)
def test_values_spread_over_the_video_range_are_ids(save: Save, values: tuple[int, ...]) -> None:
    image = np.full(SIZE, 16, np.uint8)
    labels = np.zeros(SIZE, np.uint8)
    for k, value in enumerate(values):
        place = (slice(20, 90), slice(10 + 28 * k, 30 + 28 * k))
        image[place], labels[place] = value, k + 1
    mask = read_first_mask(save("m.png", image))
    np.testing.assert_array_equal(mask.labels, labels)
    assert mask.ids == tuple(range(1, len(values) + 1))
    assert "video range" in " ".join(mask.warnings)
    # Ids beside white have white for void, as in the full range.
    image[labels == 1], image[labels == 2] = 18, 19
    image[100:110] = 235
    assert set(np.unique(read_first_mask(save("v.png", image)).labels)) >= {0, 2, 3, 255}
