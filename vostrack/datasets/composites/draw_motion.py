"""Drawing how things move: through which points, at which size and angle."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vostrack.datasets.composites.plan import Pose, View

__all__ = [
    "Point",
    "draw_times",
    "draw_views",
    "leave_and_return",
    "log_uniform",
    "path_through",
    "poses_along",
]

Point = tuple[float, float]
FloatArray = NDArray[np.float64]


def log_uniform(rng: Generator, low: float, high: float) -> float:
    """Draw a positive number, uniformly in its logarithm."""
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def draw_times(rng: Generator, frames: int) -> FloatArray:
    """Draw when the frames are taken: (T), 0 to 1, at uneven steps in half of the clips."""
    steps = np.ones(max(frames - 1, 1))
    if rng.random() < 0.5:
        steps = rng.uniform(0.3, 1.7, len(steps))
    times: FloatArray = np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()
    return times[:frames]


def path_through(
    rng: Generator, times: FloatArray, points: Sequence[tuple[float, Point]], wobble: float
) -> FloatArray:
    """Lead a path through points at given times.

    Args:
        rng: of the wobble.
        times: (T).
        points: (time, (x, y)) in order of time, pixels.
        wobble: amplitude of a swing beside the straight way, pixels; none at the points' ends.

    Returns:
        (T, 2) x and y, pixels.
    """
    knots = [time for time, _ in points]
    x = np.interp(times, knots, [point[0] for _, point in points])
    y = np.interp(times, knots, [point[1] for _, point in points])
    path = np.stack([x, y], axis=1)
    for axis in (0, 1):
        cycles, phase = rng.uniform(0.5, 2.0), rng.uniform(0, 2 * math.pi)
        swing = np.sin(2 * math.pi * cycles * times + phase) - math.sin(phase)
        path[:, axis] += rng.uniform(0, wobble) * swing
    return path


def leave_and_return(
    rng: Generator, times: FloatArray, start: Point, radius: float, size: tuple[int, int]
) -> FloatArray:
    """Lead a path out of the frame and, where there are three frames or more, back in.

    Args:
        rng: of the edge, the length of the absence and the place of return.
        times: (T), at least two.
        start: where it begins, pixels.
        radius: beyond which nothing of the thing reaches, pixels.
        size: H and W of the frame.

    Returns:
        (T, 2) x and y, pixels.
    """
    height, width = size
    count = len(times)
    first = int(rng.integers(1, max(count - 1, 2)))
    last = int(rng.integers(first, max(count - 1, first + 1)))
    path = np.empty((count, 2))
    axis = int(rng.integers(2))
    outer = (width, height)[axis] + radius + 2 if rng.random() < 0.5 else -radius - 2
    away = np.array(start, dtype=np.float64)
    away[axis] = outer
    back = np.array([rng.uniform(0.2, 0.8) * width, rng.uniform(0.2, 0.8) * height])
    away_later = back.copy()
    away_later[axis] = outer
    for index in range(count):
        if index < first:
            share = (index / first) ** 2
            # Still well inside just before it goes: half of the way at most.
            path[index] = np.array(start) * (1 - share * 0.5) + away * share * 0.5
        elif index <= last:
            share = (index - first) / max(last - first, 1)
            path[index] = away * (1 - share) + away_later * share
        else:
            share = (index - last) / (count - 1 - last)
            path[index] = away_later * (1 - share) + back * share
    return path


def poses_along(path: FloatArray, scales: FloatArray, angles: FloatArray) -> tuple[Pose, ...]:
    """Put a path, sizes and angles together, each (T, ...)."""
    return tuple(
        Pose(float(x), float(y), float(scale), float(angle))
        for (x, y), scale, angle in zip(path, scales, angles, strict=True)
    )


def draw_views(rng: Generator, times: FloatArray, *, moving: bool) -> tuple[View, ...]:
    """Draw which part of the background each frame shows.

    Args:
        rng: the source of chance.
        times: (T), 0 to 1.
        moving: whether the camera moves; it stands still otherwise.
    """
    zoom = log_uniform(rng, 1.0, 1.7)
    x, y = rng.uniform(-1, 1, 2)
    if not moving:
        return (View(zoom, float(x), float(y)),) * len(times)
    turn = rng.normal(0, math.radians(4)) if rng.random() < 0.5 else 0.0
    to_x, to_y = np.clip(np.array([x, y]) + rng.normal(0, 0.8, 2), -1, 1)
    to_zoom = float(np.clip(zoom * log_uniform(rng, 0.7, 1.4), 1.0, 2.2))
    shake = rng.uniform(0, 0.05) if rng.random() < 0.5 else 0.0
    jitter = rng.normal(0, 1, (len(times), 2)) * shake
    return tuple(
        View(
            zoom * (to_zoom / zoom) ** t,
            float(np.clip(x + (to_x - x) * t + dx, -1, 1)),
            float(np.clip(y + (to_y - y) * t + dy, -1, 1)),
            turn * t,
        )
        for t, (dx, dy) in zip(times.tolist(), jitter, strict=True)
    )
