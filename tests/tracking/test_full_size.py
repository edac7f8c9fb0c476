"""Label maps and scores at the size of the frame: against torch, in bands, and only on demand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vostrack.tracking import full_size
from vostrack.tracking.frame_result import FrameResult, on_demand
from vostrack.tracking.full_size import (
    GivenMaps,
    ScoreMaps,
    full_size_labels,
    full_size_scores,
)
from vostrack.tracking.fusion import label_map

SIZES = [(48, 64), (61, 83), (23, 200), (11, 17), (12, 16)]


def blobs(count: int, seed: int = 0) -> Tensor:
    """Draw soft disks (N, 24, 32)."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(32.0), indexing="ij")
    maps = []
    for _ in range(count):
        cy, cx, radius = (torch.rand(3, generator=generator) * torch.tensor([24, 32, 8])).tolist()
        maps.append(torch.sigmoid(radius - ((y - cy) ** 2 + (x - cx) ** 2).sqrt()))
    return torch.stack(maps)


@pytest.mark.parametrize("size", SIZES)
def test_scores_are_those_of_torch(size: tuple[int, int]) -> None:
    scores = blobs(3)
    wanted = F.interpolate(scores[None], size=size, mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(full_size_scores(scores, size), wanted, atol=2e-6, rtol=0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize("band", [1, 500, 1 << 20])
def test_labels_are_those_of_the_whole_scores(
    size: tuple[int, int], count: int, band: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(full_size, "_BAND", band)
    scores = blobs(count, seed=count)
    wanted = label_map(full_size_scores(scores, size))
    found = full_size_labels(scores, size, threshold=0.5)
    assert found.dtype == torch.uint8
    assert torch.equal(found, wanted)


def test_nothing_and_everything_are_found() -> None:
    empty, full = torch.zeros(2, 24, 32), torch.ones(2, 24, 32)
    assert not full_size_labels(empty, (61, 83), threshold=0.5).any()
    assert (full_size_labels(full, (61, 83), threshold=0.5) == 1).all()


def test_one_pixel_in_a_corner_is_not_lost() -> None:
    for y, x in ((0, 0), (0, 31), (23, 0), (23, 31), (12, 16)):
        scores = torch.zeros(2, 24, 32)
        scores[1, y, x] = 1
        wanted = label_map(full_size_scores(scores, (96, 128)))
        assert wanted.any()
        assert torch.equal(full_size_labels(scores, (96, 128), threshold=0.5), wanted)


def test_scores_are_computed_once_when_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counted(scores: Tensor, size: tuple[int, int]) -> Tensor:
        calls.append(size)
        return full_size_scores(scores, size)

    monkeypatch.setattr(full_size, "full_size_scores", counted)
    labels = np.zeros((48, 64), np.uint8)
    maps = ScoreMaps(blobs(2), (48, 64))
    result = FrameResult(labels, on_demand(maps), (1, 2), (1.0, 1.0), {})
    assert calls == []
    assert result.scores.shape == (2, 48, 64)
    assert result.scores is result.scores
    assert calls == [(48, 64)]


def test_given_masks_are_scores_of_0_and_1() -> None:
    labels = np.array([[0, 3, 3], [9, 0, 3]], np.uint8)
    scores = GivenMaps(labels, (3, 9)).numpy()
    np.testing.assert_array_equal(scores, [(labels == 3), (labels == 9)])
    assert scores.dtype == np.float32
