"""Clips with occlusions: objects are away as long as they say, and come back."""

from __future__ import annotations

import numpy as np
import pytest

from vostrack.datasets.composites import CompositeSources
from vostrack.datasets.occlusions import (
    OCCLUSION_KINDS,
    OcclusionClip,
    PaintedMaterial,
    PhotoMaterial,
    draw_occlusion,
    occlusion_suite,
)
from vostrack.errors import InputError


def _pixels(clip: OcclusionClip, number: int, frames: range) -> list[int]:
    return [int((clip.render(index)[1] == number).sum()) for index in frames]


def test_the_same_seed_gives_the_same_bytes() -> None:
    one, other = (draw_occlusion("crossing", PaintedMaterial(), 1, 5) for _ in range(2))
    for index in (0, 17):
        for a, b in zip(one.render(index), other.render(index), strict=True):
            assert a.tobytes() == b.tobytes()
    changed = draw_occlusion("crossing", PaintedMaterial(), 1, 6).render(0)[0]
    assert (changed != one.render(0)[0]).any()


@pytest.mark.parametrize("kind", ["wall", "exit", "hidden", "cut-away", "late"])
def test_an_object_is_away_for_as_long_as_was_asked(kind: str) -> None:
    clip = draw_occlusion(kind, PaintedMaterial(), 12, 1)
    judged = clip.judged[0]
    assert judged.away == 12
    seen = np.array(_pixels(clip, judged.number, range(clip.starts[judged.number], len(clip))))
    gone = np.flatnonzero(seen == 0)
    assert 12 <= len(gone) <= 12 + 8  # it also goes in and out of hiding
    assert (np.diff(gone) == 1).all()
    assert (seen[-10:] > 0.8 * seen[-1]).all()
    assert seen[-1] >= 250


def test_objects_that_cross_are_seen_apart_before_and_after() -> None:
    for seed in range(4):
        clip = draw_occlusion("crossing", PaintedMaterial(), 1, seed)
        seen = np.array([_pixels(clip, number, range(len(clip))) for number in (1, 2)])
        assert (seen[:, [0, -1]] > 250).all()
        assert seen.min() < 0.8 * seen[:, 0].min()


def test_a_cut_changes_the_picture() -> None:
    clip = draw_occlusion("cut", PaintedMaterial(), 1, 0)
    start = clip.shots[1].start
    before, last, first = (clip.render(start + k)[0].astype(float) for k in (-2, -1, 0))
    assert np.abs(first - last).mean() > 4 * np.abs(last - before).mean()


def test_photographs_are_divided_in_halves(sources: CompositeSources) -> None:
    halves = [PhotoMaterial(sources, half) for half in (0, 1)]
    names = [set(half._objects) for half in halves]
    assert all(names)
    assert not names[0] & names[1]
    frame, labels = draw_occlusion("cut", halves[0], 1, 0, size=(96, 128)).render(0)
    assert frame.shape == (96, 128, 3)
    assert set(np.unique(labels)) == {0, 1, 2}


def test_the_suite_has_all_kinds_and_differs_between_seeds() -> None:
    suite = occlusion_suite()
    assert len(suite) >= 60
    assert {entry.kind for entry in suite} == set(OCCLUSION_KINDS)
    assert {10, 200, 500} <= {entry.away for entry in suite}
    assert not {e.seed for e in suite} & {e.seed for e in occlusion_suite(1)}
    assert all(entry.painted for entry in occlusion_suite(photographs=False))


def test_unknown_kinds_and_times_are_refused() -> None:
    with pytest.raises(InputError, match="kind: expected one of wall"):
        draw_occlusion("door", PaintedMaterial(), 10, 0)
    with pytest.raises(InputError, match="away: expected at least 1 frame, got 0"):
        draw_occlusion("wall", PaintedMaterial(), 0, 0)
