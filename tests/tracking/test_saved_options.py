"""A state is taken up by a tracker with the same options, or knowingly by one with others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from vostrack import TrackerOptions, build_tracker
from vostrack.errors import InputError
from vostrack.refine.craf import Craf, CrafConfig
from vostrack.refine.registry import REFINERS, RefinerEntry, build_refiner
from vostrack.tracking.saved_options import noted_options
from vostrack.tracking.tracker import Tracker, TrackerConfig

Clip = tuple[Any, Any]
PLAIN = TrackerConfig(gate="none")


@dataclass(frozen=True)
class Options:
    """Options of a refiner."""

    radius: int = 3
    """Changes results."""

    precision: str = "auto"
    """Changes rounding."""

    weights: Path | None = None
    """Where they lie on this machine."""


def saved_by(tracker: Tracker, clip: Clip) -> tuple[dict[str, Any], dict[str, Any]]:
    tracker.start(clip[0][0], clip[1][0])
    tracker.step(clip[0][1])
    return tracker.start_state(), tracker.state()


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (
            {"config": replace(PLAIN, threshold=0.25, gate="after")},
            "threshold of the tracker was 0.5 and is 0.25 here, gate of the tracker was 'none' and",
        ),
        (
            {"temporal_filter": Craf(CrafConfig(max_age=7))},
            r"max_age of the filter was \d+ and is 7 here; build the tracker with the preset",
        ),
        ({"refiner": lambda _, scores: scores}, "refiner was none and is <lambda> here"),
    ],
)
def test_what_differs_is_named(parts: dict[str, Any], words: str, adapter: Any, clip: Clip) -> None:
    common: dict[str, Any] = {"config": PLAIN, "temporal_filter": Craf()}
    saved = saved_by(Tracker(adapter, **common), clip)
    other = Tracker(type(adapter)(), **{**common, **parts})
    with pytest.raises(InputError, match=f"saved with other options: {words}.*`other_options="):
        other.load_state(*saved)
    assert other.ids == ()
    other.load_state(*saved, other_options=True)
    assert other.step(clip[0][2]).ids == (3, 7)
    # From here on, its own options count, and its state is taken up by its like.
    Tracker(type(adapter)(), **{**common, **parts}).load_state(other.start_state(), other.state())


def test_options_of_a_plug_in_are_compared(adapter: Any, clip: Clip, tmp_path: Path) -> None:
    class Same:
        def __call__(self, image: Any, scores: Any) -> Any:
            return scores

    def tracker(**options: Any) -> Tracker:
        refiner = build_refiner("same", options, torch.device("cpu"))
        return Tracker(type(adapter)(), refiner=refiner, config=PLAIN)

    REFINERS.register("same", RefinerEntry(Options, lambda *_: Same()))
    try:
        saved = saved_by(tracker(weights=tmp_path / "a" / "w.pt"), clip)
        tracker(precision="fp32", weights=tmp_path / "b" / "w.pt").load_state(*saved)
        with pytest.raises(InputError, match="options: radius of the refiner was 3 and is 5 here"):
            tracker(radius=5, weights=tmp_path / "w.pt").load_state(*saved)
    finally:
        REFINERS.unregister("same")


def test_what_does_not_change_results_may_differ(adapter: Any, clip: Clip) -> None:
    saved = saved_by(Tracker(adapter, config=PLAIN), clip)
    # The frames are smaller than both.
    Tracker(type(adapter)(), config=replace(PLAIN, max_size=400)).load_state(*saved)


@pytest.mark.parametrize(
    ("changes", "differing"),
    [
        ({"precision": "fp32"}, []),
        ({"adapt": False}, ["object models"]),
        ({"mirror": True}, ["object models"]),
        ({"refiner": "none"}, ["refiner"]),
        ({"refiner_options": {"iterations": 2}}, ["refiner"]),
        ({"reacquire": True, "proposer": "components"}, ["support", "proposer"]),
    ],
)
def test_options_of_the_presets_are_noted(
    changes: dict[str, Any], differing: list[str], shipped_network_read_once: None
) -> None:
    plain, other = (
        build_tracker("fast", device="cpu", options=TrackerOptions(**given))._options()
        for given in ({}, changes)
    )
    assert [part for part in plain if plain[part] != other[part]] == differing


def test_only_strings_are_noted() -> None:
    noted = noted_options({"tracker": PLAIN, "filter": Craf(), "refiner": None, "proposer": print})
    assert (noted["refiner"], noted["proposer"]) == ({}, {"kind": "print"})
    values = [value for part in noted.values() for value in part.values()]
    assert all(type(value) is str for value in values)
