"""What is left out where time is short."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from vostrack.tracking.time_limit import stages_to_skip, updated_means

SECONDS = {"networks": 0.04, "refiner": 0.01, "filter": 0.02, "output": 0.005}


class Adapter:
    """Has two parts that can be left out."""

    def optional_stages(self) -> dict[str, float]:
        return {"flow": 0.1, "mirror": 0.5}

    def skip_stages(self, names: Any) -> None:
        """Do as told."""


def parts(**changes: Any) -> Any:
    return SimpleNamespace(**{"adapter": Adapter(), "refiner": 1, "proposer": 1, **changes})


@pytest.mark.parametrize(
    ("max_ms", "skipped"),
    [
        (None, ()),
        (76, ()),
        (74, ("flow",)),
        (70, ("flow", "mirror")),
        (50, ("flow", "mirror", "refiner")),
        (40, ("flow", "mirror", "refiner", "proposer")),
        (1, ("flow", "mirror", "refiner", "proposer")),
    ],
)
def test_what_costs_the_masks_least_goes_first(
    max_ms: float | None, skipped: tuple[str, ...]
) -> None:
    assert stages_to_skip(parts(), SECONDS, max_ms) == skipped


def test_what_a_tracker_lacks_is_not_left_out() -> None:
    plain = parts(adapter=object(), refiner=None, proposer=None)
    assert stages_to_skip(plain, SECONDS, 1) == ()
    assert stages_to_skip(parts(), {}, 1) == ()


@pytest.mark.parametrize("skipped", [("flow",), ("flow", "mirror")])
def test_frames_without_a_stage_do_not_bring_it_back(skipped: tuple[str, ...]) -> None:
    """Otherwise every second frame would have the stage, and be late."""
    left = {("flow",): 0.036, ("flow", "mirror"): 0.016}[skipped]
    means = dict(SECONDS)
    for _ in range(20):
        means = updated_means(parts(), means, {**SECONDS, "networks": left}, skipped)
    assert means == pytest.approx(SECONDS)
    means = updated_means(parts(), {}, SECONDS, ())
    assert means == pytest.approx(SECONDS)


def test_frames_that_the_networks_do_not_see_say_nothing_of_their_time() -> None:
    """Otherwise the next frame that they see would be late."""

    class Carrying(Adapter):
        def carried(self) -> bool:
            return True

    quick = {**SECONDS, "networks": 0.004, "memory": 0.0, "output": 0.007}
    means = updated_means(parts(adapter=Carrying()), {**SECONDS, "memory": 0.01}, quick, ())
    assert (means["networks"], means["memory"]) == (SECONDS["networks"], 0.01)
    assert means["output"] > SECONDS["output"]
