"""What object models and refiners return is checked in every frame, whoever wrote them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.stranger import stranger
from vostrack.errors import InputError
from vostrack.protocols import ObjectScores
from vostrack.refine.registry import build_refiner
from vostrack.tracking.tracker import Tracker, TrackerConfig

Clip = tuple[Any, Any]

PLUGIN = """
from dataclasses import dataclass
import torch
from vostrack.errors import InputError
from vostrack.refine.registry import RefinerEntry

@dataclass(frozen=True)
class Options:
    fails: bool = False
    level: int = 0

    def __post_init__(self):
        if self.level < 0:
            {}["level"]

class Part:
    def __init__(self, options, device):
        if options.fails:
            raise ValueError("too\\nbad")
        self.left = 1

    def __call__(self, image, scores):
        self.left -= 1
        if self.left < 0:
            raise ValueError("boom in\\nthe plug-in")
        return scores

class Words(Part):
    def __call__(self, image, scores):
        raise InputError("radius: too large")

PART = RefinerEntry(Options, Part)
WORDS = RefinerEntry(Options, Words)
"""
POINTS = "[vostrack.refiners]\npart = stranger_plugin:PART\nwords = stranger_plugin:WORDS\n"
CPU = torch.device("cpu")
UNFIT: dict[str, tuple[Callable[[Tensor, Tensor], Any], str]] = {
    "none": (lambda _i, _s: None, "gave an object of the type NoneType; expected a floating-point"),
    "numpy": (lambda _i, s: s.numpy(), "an object of the type ndarray; expected a floating"),
    "half size": (lambda _i, s: s[:, ::2, ::2], r"a tensor of the shape \(2, 30, 45\); expected"),
    "integers": (lambda _i, s: s.long(), "gave a tensor of int64; expected"),
    "elsewhere": (lambda _i, s: s.to("meta"), "gave a tensor on meta; expected"),
    "nan": (lambda _i, s: s * float("nan"), "gave scores from nan to nan; expected probab"),
    "logits": (lambda _i, s: s * 7 - 3, "gave scores from -3 to .*; repair it, or choose another"),
}


def tracked(adapter: Any, clip: Clip, refiner: Any, learn_refined: bool = False) -> Tracker:
    config = TrackerConfig(gate="none", learn_refined=learn_refined)
    tracker = Tracker(adapter, refiner=refiner, config=config)
    tracker.start(clip[0][0], clip[1][0])
    return tracker


@pytest.mark.parametrize("learn_refined", [True, False])
@pytest.mark.parametrize("case", UNFIT)
def test_an_unfit_result_of_a_refiner_is_refused(
    adapter: Any, clip: Clip, case: str, learn_refined: bool
) -> None:
    refiner, words = UNFIT[case]
    tracker = tracked(adapter, clip, refiner, learn_refined)
    with pytest.raises(InputError, match=f"refiner: .*test_score_checks.<lambda> .*{words}"):
        tracker.step(clip[0][1])
    tracker.refiner = None  # the frame can be taken again
    assert tracker.step(clip[0][1]).labels.any()


@pytest.mark.parametrize("kind", [torch.float64, torch.float16])
def test_other_floating_point_numbers_are_accepted(
    adapter: Any, clip: Clip, kind: torch.dtype
) -> None:
    plain = tracked(adapter, clip, None).step(clip[0][1])
    other = tracked(adapter, clip, lambda _i, s: s.to(kind) * 1.0001).step(clip[0][1])
    assert np.asarray(other.scores).dtype == np.float32
    assert (other.labels == plain.labels).mean() > 0.99


@pytest.mark.parametrize("what", ["objects", "foreground", "presence"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_are_refused(
    adapter: Any, clip: Clip, what: str, value: float
) -> None:
    tracker = tracked(adapter, clip, None)
    scores = adapter.scores

    def broken(image: Tensor) -> ObjectScores:
        found = scores(image)._asdict()
        if what in found:
            found[what] = found[what].clone()
            found[what][..., 3, 4] = value
        return ObjectScores(**found)

    adapter.scores = broken
    if what == "presence":
        adapter.presence = lambda: torch.tensor([0.5, value])
    with pytest.raises(InputError, match=r"NaN or infinite; expected numbers in .*other `weights`"):
        tracker.step(clip[0][1])


def test_errors_of_a_plug_in_name_it(tmp_path: Path, adapter: Any, clip: Clip) -> None:
    whose = r"refiner: the plug-in 'part' \(stranger_plugin:PART\)"
    with stranger(tmp_path, PLUGIN, POINTS):
        with pytest.raises(InputError, match=f"{whose} cannot be built: ValueError: too bad; giv"):
            build_refiner("part", {"fails": True}, CPU)
        with pytest.raises(InputError, match=f"{whose} cannot take its options: KeyError: 'level'"):
            build_refiner("part", {"level": -1}, CPU)
        tracker = tracked(adapter, clip, build_refiner("part", {}, CPU))
        tracker.step(clip[0][1])
        with pytest.raises(InputError, match=f"{whose} failed: ValueError: boom in the plug-in; "):
            tracker.step(clip[0][2])
        tracker = tracked(adapter, clip, build_refiner("words", {}, CPU))
        with pytest.raises(InputError, match=r"'words' .*WORDS\): radius: too large"):
            tracker.step(clip[0][1])


def test_errors_of_a_function_of_the_user_s_are_its_own(adapter: Any, clip: Clip) -> None:
    def failing(_image: Tensor, _scores: Tensor) -> Tensor:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        tracked(adapter, clip, failing).step(clip[0][1])
