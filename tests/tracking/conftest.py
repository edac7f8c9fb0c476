"""A clip of two coloured boxes, and an adapter that knows objects by their colour."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vostrack.arrays import UInt8Array
from vostrack.protocols import ObjectScores

COLOURS = {3: (250, 20, 20), 7: (20, 250, 20)}


class ColourAdapter:
    """Scores a pixel by its likeness to the mean colour of each object in the first frame."""

    def __init__(self) -> None:
        self.colours = torch.zeros(0, 3)
        self.starts = 0
        self.commits: list[tuple[Tensor, Tensor]] = []

    def start(self, image: Tensor, labels: Tensor) -> None:
        self.starts += 1
        count = int(labels[labels != 255].max())
        self.colours = torch.stack([image[:, labels == k].mean(1) for k in range(1, count + 1)])

    def scores(self, image: Tensor) -> ObjectScores:
        distance = (image[None] - self.colours[:, :, None, None]).abs().sum(1)
        scores = (1 - distance).clamp(0, 1)
        return ObjectScores(scores, scores.amax(0))

    def presence(self) -> Tensor | None:
        return None

    def commit(self, scores: Tensor, labels: Tensor) -> None:
        self.commits.append((scores.clone(), labels.clone()))

    def seek_start(self) -> None:
        self.commits = []

    def running_state(self) -> dict[str, Any]:
        return {"commits": len(self.commits)}

    def load_running_state(self, state: Mapping[str, Any]) -> None:
        self.commits = [(torch.zeros(0), torch.zeros(0))] * state["commits"]

    def state_dict(self) -> dict[str, Any]:
        return {"colours": self.colours}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.colours = state["colours"]


class EditableAdapter(ColourAdapter):
    """A colour adapter whose objects can be added, removed and corrected."""

    def start(self, image: Tensor, labels: Tensor) -> None:
        super().start(image, labels)
        self.first = self.colours

    def seek_start(self) -> None:
        super().seek_start()
        self.colours = self.first

    def add_objects(self, image: Tensor, labels: Tensor) -> None:
        new = range(len(self.colours) + 1, int(labels[labels != 255].max()) + 1)
        seen = [image[:, labels == slot].mean(1) for slot in new]
        self.colours = torch.cat([self.colours, torch.stack(seen)])

    def correct_objects(self, image: Tensor, labels: Tensor, slots: Sequence[int]) -> None:
        colours = self.colours.clone()
        for slot in slots:
            if (labels == slot).any():
                colours[slot - 1] = image[:, labels == slot].mean(1)
        self.colours = colours

    def remove_objects(self, slots: Sequence[int]) -> None:
        kept = [k for k in range(len(self.colours)) if k + 1 not in slots]
        self.colours = self.colours[kept]

    def state_dict(self) -> dict[str, Any]:
        return {"first": self.first}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.first = self.colours = state["first"]

    def running_state(self) -> dict[str, Any]:
        return {"colours": self.colours, **super().running_state()}

    def load_running_state(self, state: Mapping[str, Any]) -> None:
        super().load_running_state(state)
        self.colours = state["colours"]


class RefittingAdapter(EditableAdapter):
    """An editable adapter that fine-tunes in a call of its own."""

    def __init__(self, *, steps: bool = True) -> None:
        super().__init__()
        self.steps, self.refits = steps, 0

    def can_refit(self) -> bool:
        return self.steps

    def refit(self, image: Tensor) -> None:
        self.refits += 1


class LearningAdapter(ColourAdapter):
    """A colour adapter that keeps the later frames it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.later: list[tuple[Tensor, Tensor]] = []

    def start_with(
        self, image: Tensor, labels: Tensor, later: Sequence[tuple[Tensor, Tensor]]
    ) -> None:
        self.start(image, labels)
        self.later = list(later)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "later": len(self.later)}


@pytest.fixture
def refitting() -> Callable[..., RefittingAdapter]:
    return RefittingAdapter


@pytest.fixture
def adapter() -> ColourAdapter:
    return ColourAdapter()


@pytest.fixture
def editable() -> EditableAdapter:
    return EditableAdapter()


@pytest.fixture
def learning() -> LearningAdapter:
    return LearningAdapter()


@pytest.fixture
def clip() -> tuple[UInt8Array, UInt8Array]:
    """Frames (T, H, W, 3) and labels (T, H, W), ids 3 and 7; 3 moves right, 7 left below it."""
    frames = np.full((12, 60, 90, 3), 90, np.uint8)
    labels = np.zeros((12, 60, 90), np.uint8)
    for t in range(12):
        for number, (y, x) in {3: (5, 4 + 5 * t), 7: (35, 70 - 5 * t)}.items():
            frames[t, y : y + 18, x : x + 15] = COLOURS[number]
            labels[t, y : y + 18, x : x + 15] = number
    return frames, labels
