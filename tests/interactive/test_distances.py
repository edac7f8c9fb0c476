"""Distances along an image."""

from __future__ import annotations

import numpy as np
import pytest

from vostrack.interactive.distances import ImageGraph


def test_without_edges_the_distance_is_that_of_a_grid_with_diagonals() -> None:
    graph = ImageGraph(np.zeros((1, 5, 7), np.float32), [])
    found = graph.from_points([(1, 2)])
    rows, columns = np.mgrid[:5, :7]
    dy, dx = np.abs(rows - 2), np.abs(columns - 1)
    octile = np.maximum(dx, dy) + (np.sqrt(2) - 1) * np.minimum(dx, dy)
    np.testing.assert_allclose(found, 0.01 * octile, rtol=1e-5)


def test_an_edge_costs_what_the_maps_differ_by() -> None:
    step = np.zeros((1, 3, 6), np.float32)
    step[0, :, 3:] = 0.5
    found = ImageGraph(step, []).from_points([(2, 1)])
    assert found[1, 3] == pytest.approx(0.51)
    turned = np.stack([np.where(step[0] > 0, 0.0, 1.0), np.where(step[0] > 0, 1.0, 0.0)])
    found = ImageGraph(np.zeros_like(step), [turned.astype(np.float32)]).from_points([(2, 1)])
    assert found[1, 3] == pytest.approx(1.01)


def test_the_nearest_point_and_the_border_count() -> None:
    graph = ImageGraph(np.zeros((1, 5, 9), np.float32), [])
    found = graph.from_points([(0, 2), (8, 2)])
    assert found[2, 4] == pytest.approx(0.04)
    assert found[2, 7] == pytest.approx(0.01)
    assert graph.from_border()[2, 4] == pytest.approx(0.02)
    assert graph.from_border()[0].max() == 0
