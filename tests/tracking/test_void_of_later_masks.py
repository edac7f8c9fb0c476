"""Where a mask that is given later is void, the object models learn nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from tests.tracking.conftest import EditableAdapter
from vostrack.tracking.tracker import Tracker, TrackerConfig

Clip = tuple[Any, Any]


class Noting(EditableAdapter):
    """Keeps the label maps that it learns from."""

    def __init__(self) -> None:
        super().__init__()
        self.learned: list[Any] = []

    def add_objects(self, image: Tensor, labels: Tensor) -> None:
        self.learned.append(labels.numpy().copy())
        super().add_objects(image, labels)

    def correct_objects(self, image: Tensor, labels: Tensor, slots: Sequence[int]) -> None:
        self.learned.append(labels.numpy().copy())
        super().correct_objects(image, labels, slots)


@pytest.mark.parametrize("call", ["add_objects", "correct"])
@pytest.mark.parametrize("max_size", [854, 45])
def test_void_is_told_to_the_object_models(call: str, max_size: int, clip: Clip) -> None:
    frames, labels = clip
    tracker = Tracker(adapter := Noting(), config=TrackerConfig(gate="none", max_size=max_size))
    tracker.start(frames[0], np.where(labels[0] == 3, 3, 0).astype(np.uint8))
    number = 7 if call == "add_objects" else 3
    mask = np.where(labels[0] == number, number, 0).astype(np.uint8)
    getattr(tracker, call)(frames[0], mask)
    mask[:, 60:64] = 255
    tracker.seek_start()
    result = getattr(tracker, call)(frames[0], mask)
    plain, void = adapter.learned
    assert 255 not in plain
    step = plain.shape[1] / 90
    assert (void[:, round(60 * step) : round(64 * step)] == 255).all()
    away = void != 255
    np.testing.assert_array_equal(void[away], plain[away])
    # What was tracked there stays in the result.
    assert 255 not in result.labels
    assert set(np.unique(result.labels)) == {0, *tracker.ids}
