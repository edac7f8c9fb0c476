"""Sequence scores: the hand-computed golden sequence, the conventions, the published scores."""

from __future__ import annotations

import itertools
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vostrack.arrays import DoubleArray, UInt8Array
from vostrack.errors import InputError
from vostrack.eval import (
    DavisReport,
    SemiSupervisedScorer,
    UnsupervisedScorer,
    pair_scores,
    score_sequence,
    score_unsupervised_sequence,
    summarize,
)

GOLDEN = json.loads(Path(__file__).with_name("davis_golden.json").read_text(encoding="utf-8"))


def _parse(rows: list[str]) -> UInt8Array:
    values = {".": 0, "v": 255}
    return np.array([[values.get(cell, ord(cell) - 48) for cell in row] for row in rows], np.uint8)


def _golden_frames() -> list[tuple[str, UInt8Array, UInt8Array]]:
    return [
        (frame["name"], _parse(frame["prediction"]), _parse(frame["truth"]))
        for frame in GOLDEN["frames"]
    ]


def _square(x: int, number: int = 1, size: tuple[int, int] = (24, 40)) -> UInt8Array:
    labels = np.zeros(size, np.uint8)
    labels[8:16, x : x + 8] = number
    return labels


def test_golden_sequence() -> None:
    scores = score_sequence("golden", _golden_frames())
    assert scores.frames == tuple(frame["name"] for frame in GOLDEN["frames"])
    for number, expected in GOLDEN["objects"].items():
        for which, table in (("J", scores.j), ("F", scores.f)):
            values = [None if np.isnan(v) else v for v in table[:, int(number) - 1].tolist()]
            truth = expected[which]
            hand = [None if v is None else float(Fraction(v)) for v in truth["per_frame"]]
            assert values == pytest.approx(hand, abs=1e-12)
            measure = scores.measure("J" if which == "J" else "F", int(number))
            for name in ("mean", "recall", "decay"):
                assert getattr(measure, name) == pytest.approx(float(Fraction(truth[name])))
    report = DavisReport([scores])
    assert report.measure("J").mean == pytest.approx(float(Fraction(GOLDEN["global"]["J"])))
    assert report.measure("F").mean == pytest.approx(float(Fraction(GOLDEN["global"]["F"])))
    assert report.j_and_f == pytest.approx(float(Fraction(GOLDEN["global"]["J&F"])))


def test_scores_stream() -> None:
    scorer = SemiSupervisedScorer("golden")
    live = [scorer.update(prediction, truth) for _, prediction, truth in _golden_frames()]
    whole = scorer.compute()
    assert live[0] is None
    assert live[-1] is None  # an id too many, which does not matter in the last frame
    for index in range(1, 6):
        now = live[index]
        assert now is not None
        assert now.j.tolist() == whole.j[index].tolist()
        assert now.f.tolist() == whole.f[index].tolist()


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 7, 48, 102, 255, 256, 257, 300, 900, 1500])
def test_decay_quarters_are_the_official_ones(length: int) -> None:
    values = np.random.default_rng(length).random(length)
    limits = [round(float(x) + 1e-10) - 1 for x in np.linspace(1, length, 5)]
    limits = [limit & 255 for limit in limits]
    first = values[limits[0] : limits[1] + 1]
    last = values[limits[3] : limits[4] + 1]
    expected = first.mean() - last.mean() if len(first) and len(last) else np.nan
    padded = np.concatenate([[np.nan], values, [np.nan]])
    official = summarize(padded, official_decay=True)
    assert official.decay == pytest.approx(expected, nan_ok=True)
    if length <= 256:
        assert summarize(padded).decay == pytest.approx(expected, nan_ok=True)
    if length > 256:
        assert limits[4] < limits[3] or length > 1000


@pytest.mark.parametrize("length", [257, 300, 511, 900, 1500])
def test_decay_of_long_sequences_is_that_of_the_true_quarters(length: int) -> None:
    values = np.repeat([0.9, 0.8, 0.7, 0.2], -(-length // 4))[:length]
    quarter = round(length / 4)
    expected = values[:quarter].mean() - values[-quarter:].mean()
    assert summarize(values).decay == pytest.approx(expected, abs=2 / quarter)
    assert summarize(values).decay > 0.6


def test_recall_is_strict() -> None:
    assert summarize(np.array([0.5, 0.5, 0.5001, 0.9])).recall == 0.5


def test_binary_scores_any_id_as_the_one_object() -> None:
    truth = _square(4, 255)
    frames = [("0", None, truth), ("1", _square(4, 7), truth), ("2", None, truth)]
    assert score_sequence("swan", frames, binary=True).j[1].tolist() == [1.0]
    with pytest.raises(InputError, match="expected an object"):
        score_sequence("swan", frames)


def test_first_and_last_frame_are_not_scored() -> None:
    truth = _square(4)
    scores = score_sequence("goat", [(str(index), truth, truth) for index in range(4)])
    for table in (scores.j, scores.f):
        assert np.isnan(table[:, 0]).tolist() == [True, False, False, True]


def test_void_and_new_objects_are_background_while_streaming() -> None:
    truth = _square(4)
    truth[0, :4] = (255, 254, 3, 2)
    scorer = SemiSupervisedScorer("goat")
    scorer.update(None, _square(4))
    scores = scorer.update(_square(4), truth)
    assert scores is not None
    assert scores.j.tolist() == scores.f.tolist() == [1.0]


def test_fewer_ids_than_objects_score_zero() -> None:
    truth = _square(4) + _square(20, 2)
    frames = [("0", None, truth), ("1", _square(4), truth), ("2", None, truth)]
    scores = score_sequence("goat", frames)
    assert scores.j[1].tolist() == [1.0, 0.0]
    assert scores.f[1].tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("prediction", "words"),
    [
        (None, "goat/00001: no predicted mask"),
        (_square(4, 2), "goat/00001: expected ids up to 1 .*got 2"),
        (_square(4, size=(24, 41)), "goat/00001: expected a predicted mask of 40x24 .*got 41x24"),
        (np.zeros((24, 40, 3), np.uint8), "goat/00001 .prediction.: expected a label map"),
    ],
)
def test_a_bad_frame_matters_once_it_is_scored(prediction: UInt8Array | None, words: str) -> None:
    truth = _square(4)
    scorer = SemiSupervisedScorer("goat")
    scorer.update(prediction, truth)
    scorer.update(truth, truth)
    scorer.update(prediction, truth, "00001")
    assert np.isnan(scorer.compute().j[2])
    with pytest.raises(InputError, match=words):
        scorer.update(truth, truth)


def test_too_few_frames() -> None:
    truth = _square(4)
    with pytest.raises(InputError, match="at least 3 frames"):
        score_sequence("goat", [("0", truth, truth), ("1", truth, truth)])
    with pytest.raises(InputError, match="at least 1 frame"):
        UnsupervisedScorer("goat").compute()


def _slow_unsupervised(
    frames: list[tuple[str, UInt8Array, UInt8Array]], objects: int
) -> tuple[float, DoubleArray]:
    """The best total over every assignment, and J of it, by trying them all."""
    proposals = max(int(max(p.max() for _, p, _ in frames)), objects)
    pairs = [pair_scores(p, t, proposals, objects) for _, p, t in frames]
    j = np.stack([pair.j for pair in pairs])
    quality = (j.mean(axis=0) + np.stack([pair.f for pair in pairs]).mean(axis=0)) / 2
    best = max(
        itertools.permutations(range(proposals), objects),
        key=lambda rows: sum(quality[row, column] for column, row in enumerate(rows)),
    )
    total = sum(quality[row, column] for column, row in enumerate(best))
    return float(total), j[:, best, range(objects)]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("proposals", [1, 3, 5])
def test_unsupervised_matching_is_the_best_of_all(seed: int, proposals: int) -> None:
    rng = np.random.default_rng(seed)
    frames = []
    for index in range(3):
        truth = np.kron(rng.integers(0, 4, (4, 6)), np.ones((5, 6))).astype(np.uint8)
        truth[0, :3] = (1, 2, 3)
        guess = np.roll(truth, 1, axis=1) % (proposals + 1)
        truth[rng.random(truth.shape) < 0.1] = 255
        truth[0, :3] = (1, 2, 3)
        frames.append((str(index), guess.astype(np.uint8), truth))
    scores = score_unsupervised_sequence("ducks", frames)
    total, j = _slow_unsupervised(frames, 3)
    found = (scores.j.mean(axis=0) + scores.f.mean(axis=0)).sum() / 2
    assert found == pytest.approx(total)
    assert scores.j.mean() == pytest.approx(j.mean())
    assert not np.isnan(scores.j).any()


def test_unsupervised_ids_are_free_and_extra_proposals_cost_nothing() -> None:
    truth = _square(4) + _square(20, 2)
    guess = _square(4, 20) + _square(20, 1)
    guess[0, 0] = 7
    scorer = UnsupervisedScorer("ducks")
    for _ in range(2):
        scorer.update(guess, truth)
    assert scorer.assignment() == (20, 1)
    assert scorer.compute().j.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    with pytest.raises(InputError, match=r"ducks/00002: expected at most 20 proposals .*got id 21"):
        scorer.update(guess + np.uint8(1), truth)
    with pytest.raises(InputError, match="ducks/00002: no predicted mask"):
        scorer.update(None, truth)


@pytest.mark.shared_data
def test_published_scores_of_another_method(shared_dir: Path) -> None:
    data = shared_dir / "data"
    published: dict[str, Any] = json.loads(
        (data / "oracle" / "STM_DAVIS_16val_scores.json").read_text(encoding="utf-8")
    )
    assert len(published) == 6
    for name, expected in published.items():
        truths = sorted((data / "davis-dev" / "Annotations" / "480p" / name).glob("*.png"))
        results = data / "oracle" / "STM_DAVIS_16val" / name
        scores = score_sequence(
            name,
            (
                (path.stem, np.array(Image.open(results / path.name)), np.array(Image.open(path)))
                for path in truths
            ),
            binary=True,
        )
        for which, table in (("J", scores.j), ("F", scores.f)):
            official = np.array(expected[which]["per_frame"], dtype=np.float64)
            assert np.array_equal(table[:, 0], official, equal_nan=True), (name, which)
            measure = scores.measure("J" if which == "J" else "F", 1)
            for statistic in ("mean", "recall", "decay"):
                value = getattr(measure, statistic)
                assert value == pytest.approx(expected[which][statistic], abs=1e-12)
