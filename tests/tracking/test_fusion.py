"""Gating and the winner per pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from vostrack.tracking.fusion import gate, label_map, mean_scores


def loop_label_map(scores: torch.Tensor, threshold: float) -> torch.Tensor:
    """The definition, pixel by pixel."""
    _, height, width = scores.shape
    labels = torch.zeros(height, width, dtype=torch.uint8)
    for y in range(height):
        for x in range(width):
            values = scores[:, y, x].tolist()
            best = max(values)
            if best >= threshold:
                labels[y, x] = values.index(best) + 1
    return labels


@given(st.integers(1, 5), st.integers(1, 7), st.integers(1, 7), st.integers(0, 2**16))
def test_label_map_is_the_definition(count: int, height: int, width: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    # Few distinct values, so that ties and the threshold itself occur.
    scores = torch.randint(0, 5, (count, height, width), generator=generator) / 4
    assert torch.equal(label_map(scores, threshold=0.5), loop_label_map(scores, 0.5))


@pytest.mark.parametrize("dilation", [0, 1, 3])
def test_gate_is_zero_outside_the_grown_foreground(dilation: int) -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(3, 19, 23, generator=generator)
    foreground = (torch.rand(19, 23, generator=generator) > 0.97).float()
    gated = gate(scores, foreground, dilation=dilation)
    grown = foreground.numpy() > 0
    if dilation:
        square = np.ones((2 * dilation + 1,) * 2, bool)
        grown = ndimage.binary_dilation(grown, square)
    expected = scores * torch.from_numpy(grown)
    assert torch.equal(gated, expected)
    assert 0 < grown.sum() < grown.size


def test_mean_scores_are_those_of_the_pixels_won() -> None:
    scores = torch.rand(3, 9, 7, generator=torch.Generator().manual_seed(2))
    slots = torch.zeros(9, 7, dtype=torch.uint8)
    slots[:4], slots[6:, 2:] = 1, 3
    expected = [float(scores[0, :4].mean()), 0.0, float(scores[2, 6:, 2:].mean())]
    assert mean_scores(scores, slots) == pytest.approx(expected, rel=1e-6)
