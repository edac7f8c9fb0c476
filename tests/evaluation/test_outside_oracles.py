"""Scores and files against the tools that benchmarks publish, where these are installed.

They are not in the extra ``test``: pip install trackeval tabulate vos-benchmark scikit-image
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.datasets.small_sets import LENGTH, labels_of, make_burst
from vostrack.arrays import UInt8Array
from vostrack.cli import main
from vostrack.datasets import open_burst
from vostrack.eval import score_unsupervised_sequence
from vostrack.eval.hota import count_matches, hota_frame
from vostrack.eval.object_scores import ScoringPlan, score_objects
from vostrack.masks import encode_rle, write_label_map


def _random_maps(seed: int) -> list[tuple[UInt8Array, UInt8Array]]:
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(6):
        truth = np.kron(rng.integers(0, 4, (5, 7)), np.ones((12, 12))).astype(np.uint8)
        pairs.append((np.roll(truth, rng.integers(-3, 4, 2), (0, 1)), truth))
    return pairs


@pytest.mark.parametrize("seed", range(3))
def test_several_objects_against_vos_benchmark(seed: int) -> None:
    pytest.importorskip("skimage", reason="vos-benchmark needs scikit-image")
    evaluator_of = pytest.importorskip("vos_benchmark.evaluator").Evaluator
    maps = _random_maps(seed)
    evaluator: Any = evaluator_of()
    for guess, truth in maps[1:-1]:
        evaluator.feed_frame(guess, truth)
    j, f = evaluator.conclude()
    names = tuple(f"{index:05}" for index in range(len(maps)))
    scored = np.ones((len(maps), 3), bool)
    scored[[0, -1]] = False
    known = dict(zip(names, maps, strict=True))
    scores, findings = score_objects(
        "random",
        ScoringPlan(names, (1, 2, 3), scored),
        lambda frame: known[frame][0],
        lambda frame: known[frame][1],
    )
    assert findings == []
    for number in (1, 2, 3):
        assert 100 * scores.measure("J", number).mean == pytest.approx(j[number])
        assert 100 * scores.measure("F", number).mean == pytest.approx(f[number])


@pytest.mark.parametrize("seed", range(3))
def test_matching_of_proposals_against_trackeval(seed: int) -> None:
    pytest.importorskip("skimage", reason="TrackEval's J and F need scikit-image")
    metric = pytest.importorskip("trackeval").metrics.JAndF()
    metric.optim_type = "J&F"
    swap = np.array([0, 3, 1, 2], np.uint8)  # proposals have other ids than objects
    maps = [(swap[guess], truth) for guess, truth in _random_maps(seed)]

    def encoded(labels: UInt8Array) -> list[dict[str, Any]]:
        size = list(labels.shape)
        return [{"size": size, "counts": encode_rle(labels == n)["counts"]} for n in (1, 2, 3)]

    ids = [np.arange(3)] * len(maps)
    theirs = metric.eval_sequence(
        {
            "num_timesteps": len(maps), "num_gt_ids": 3, "num_tracker_ids": 3,
            "gt_ids": ids, "tracker_ids": ids,
            "gt_dets": [encoded(truth) for _, truth in maps],
            "tracker_dets": [encoded(guess) for guess, _ in maps],
        }
    )  # fmt: skip
    ours = score_unsupervised_sequence("random", [("", guess, truth) for guess, truth in maps])
    assert ours.j.mean() == pytest.approx(theirs["J-Mean"])
    assert ours.f.mean() == pytest.approx(theirs["F-Mean"])


def _hota(root: Path, predictions: Path) -> dict[str, float]:
    """Return HOTA and its parts of the exemplar-guided task of BURST, averaged over classes."""
    trackeval = pytest.importorskip("trackeval")
    pytest.importorskip("tabulate", reason="TrackEval's BURST reader needs it")
    data = predictions.parent / "trackers" / "ours" / "data"
    data.mkdir(parents=True)
    (data / "predictions.json").write_bytes(predictions.read_bytes())
    config = {
        "GT_FOLDER": str(root / "annotations" / "val"),
        "TRACKERS_FOLDER": str(predictions.parent / "trackers"),
        "EXEMPLAR_GUIDED": True,
        "PRINT_CONFIG": False,
    }
    dataset = trackeval.datasets.BURST(config)
    metric = trackeval.metrics.HOTA()
    of_class = []
    for name in dataset.class_list:
        parts = {}
        for sequence in dataset.seq_list:
            raw = dataset.get_raw_seq_data("ours", sequence)
            parts[sequence] = metric.eval_sequence(dataset.get_preprocessed_seq_data(raw, name))
        of_class.append(metric.combine_sequences(parts))
    return {
        name: float(np.mean([found[name].mean() for found in of_class]))
        for name in ("HOTA", "DetA", "AssA")
    }


@pytest.mark.parametrize("shift", [0, 3])
def test_trackeval_gives_our_hota_for_burst(shift: int, tmp_path: Path) -> None:
    root = make_burst(tmp_path / "data")
    for sequence in open_burst(root, tmp_path / "unpacked"):
        name = sequence.name.partition("-")[2]
        step = LENGTH // len(sequence.frames)
        for index, frame in enumerate(sequence.frame_names):
            labels = np.roll(labels_of(name, step * index), shift, axis=0)
            write_label_map(tmp_path / "results" / sequence.name / f"{frame}.png", labels)
    target = tmp_path / "written" / "predictions.json"
    flags = ["--layout", "burst", "--root", str(root), "--quiet"]
    results = str(tmp_path / "results")
    given = ["--zip", str(target), "--results", results]
    assert main(["dataset", "submit", *flags, *given]) == 0
    theirs = _hota(root, target)
    assert main(["eval", results, *flags, "--json", str(tmp_path / "scores.json")]) == 0
    ours = json.loads((tmp_path / "scores.json").read_text())["benchmark"]
    assert ours == pytest.approx(theirs)
    assert (theirs["HOTA"] == 1) == (shift == 0)


@pytest.mark.parametrize("seed", range(4))
def test_trackeval_gives_our_hota_of_crossing_tracks(seed: int) -> None:
    """Objects vanish and change their ids; the classes are left aside."""
    metric = pytest.importorskip("trackeval").metrics.HOTA()
    draw = np.random.default_rng(seed)
    maps = []
    for guess, truth in _random_maps(seed):
        table = np.arange(256, dtype=np.uint8)
        table[1:4] = draw.permutation([1, 2, 3]) if draw.random() < 0.5 else [1, 2, 3]
        if draw.random() < 0.4:
            table[int(draw.integers(1, 4))] = 0
        maps.append((table[truth] if draw.random() < 0.7 else guess, truth))
    frames = [hota_frame(truth, guess, (1, 2, 3)) for guess, truth in maps]
    theirs = metric.eval_sequence(
        {
            "num_gt_dets": sum(len(f.truth) for f in frames), "num_gt_ids": 3,
            "num_tracker_dets": sum(len(f.found) for f in frames), "num_tracker_ids": 3,
            "gt_ids": [f.truth for f in frames], "tracker_ids": [f.found for f in frames],
            "similarity_scores": [f.overlap for f in frames],
        }
    )  # fmt: skip
    wanted = tuple(float(theirs[name].mean()) for name in ("HOTA", "DetA", "AssA"))
    assert count_matches(frames, 3).measures() == pytest.approx(wanted)
    assert 0.1 < wanted[0] < 0.95
