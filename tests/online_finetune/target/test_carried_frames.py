"""Frames whose masks only follow the optical flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vostrack.compute.optical_flow import gray_bytes
from vostrack.models.target_decoder import NOWHERE
from vostrack.models.target_net import TargetNet
from vostrack.models.weights import load_target_net
from vostrack.online_finetune.target.adapter import TargetModelAdapter, TargetModelConfig
from vostrack.online_finetune.target.carried_frames import Steadiness, carry_masks
from vostrack.online_finetune.target.cohorts import gather
from vostrack.online_finetune.target.due_frames import is_due
from vostrack.online_finetune.target.finetune import TargetFinetuneConfig
from vostrack.online_finetune.target.frame_steps import Drawn
from vostrack.online_finetune.target.memory import TrackedObjects
from vostrack.online_finetune.target.window import WindowConfig
from vostrack.presets import TrackerOptions, resolve_preset

SIZE = (120, 160)
CONFIG = TargetModelConfig(
    window=WindowConfig(pixels=128 * 128),
    finetune=TargetFinetuneConfig(steps=0),
    precision="fp32",
    carry=2,
)
STEADY = Steadiness(0.01, 0.9, 0)


@pytest.fixture(scope="module")
def shipped() -> TargetNet:
    return load_target_net(None)


def frame(x: int = 0, wall: bool = False) -> Tensor:
    """A box with spots on noise, x pixels to the right: (3, h, w). A wall hides half of it."""
    rng = np.random.default_rng(0)
    image = np.kron(rng.uniform(0.2, 0.6, (15, 20, 3)), np.ones((8, 8, 1))).astype(np.float32)
    spots = np.kron(rng.uniform(0.3, 1, (8, 8, 1)), np.ones((5, 5, 1)))
    image[40:80, 50 + x : 90 + x] = spots * np.array([1.0, 0.2, 0.1])
    if wall:
        image[30:90, 50 + x : 72 + x] = 0.9
    return torch.from_numpy(image).permute(2, 0, 1)


def box(x: int = 0) -> Tensor:
    mask = torch.zeros(SIZE, dtype=torch.int64)
    mask[40:80, 50 + x : 90 + x] = 1
    return mask


def start(network: TargetNet, **changes: Any) -> TargetModelAdapter:
    adapter = TargetModelAdapter(network, replace(CONFIG, **changes))
    adapter.start(frame(), box())
    return adapter


def step(adapter: TargetModelAdapter, image: Tensor) -> tuple[Tensor, bool]:
    """Track a frame; return its scores, and whether they were carried."""
    scores, _ = adapter.scores(image)
    adapter.commit(scores, (scores.amax(0) > 0.5).byte())
    return scores, adapter.carried()


def agreement(scores: Tensor, truth: Tensor) -> float:
    one, other = scores[0] > 0.5, truth == 1
    return float((one & other).sum() / (one | other).sum())


def carried(adapter: TargetModelAdapter, count: int) -> list[bool]:
    return [step(adapter, frame(k))[1] for k in range(1, count + 1)]


def test_steady_objects_are_not_seen_in_every_frame(shipped: TargetNet) -> None:
    adapter = start(shipped)
    seen = []
    for x in range(1, 10):
        scores, without = step(adapter, frame(x))
        seen.append(without)
        assert agreement(scores, box(x)) > 0.85
    assert sum(seen) >= 2
    assert "TTT" not in "".join("FT"[one] for one in seen)
    assert not any(carried(start(shipped, carry=0), 6))
    assert not any(carried(start(shipped, flow_share=0.0), 6))


def test_what_comes_before_the_object_is_seen_at_once(shipped: TargetNet) -> None:
    adapter = start(shipped)
    carried(adapter, 1)
    scores, without = step(adapter, frame(2, wall=True))
    assert not without
    assert agreement(scores, box(2)) < 0.7
    # What moves otherwise than the flow says is seen in the next frame, too.
    assert not step(adapter, frame(3))[1]


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.correct_objects(frame(1), box(1), [1]),
        lambda a: a.add_objects(frame(1), box(1) + 2 * box(40).roll(-30, 0)),
        lambda a: a.seek_start(),
        lambda a: a.look_everywhere(),
        lambda a: a.skip_stages(["flow"]),
        lambda a: a.forget_places(),
    ],
)
def test_after_a_change_the_network_sees_the_next_frame(
    shipped: TargetNet, change: Callable[[TargetModelAdapter], None]
) -> None:
    adapter = start(shipped)
    assert carried(adapter, 1) == [False]
    change(adapter)
    adapter.scores(frame(1))
    assert not adapter.carried()


def test_a_tracker_goes_on_from_a_saved_state_to_the_bit(shipped: TargetNet) -> None:
    adapter = start(shipped)
    carried(adapter, 2)
    saved = adapter.state_dict(), adapter.running_state()
    other = TargetModelAdapter(shipped, CONFIG)
    other.load_state_dict(saved[0])
    other.load_running_state(saved[1])
    here, there = adapter.presence(), other.presence()
    assert here is not None
    assert there is not None
    assert torch.equal(here, there)
    for x in range(3, 8):
        (one, a), (two, b) = step(adapter, frame(x)), step(other, frame(x))
        assert torch.equal(one, two)
        assert a == b


def tracked(x: int = 0) -> TrackedObjects:
    adapter = start(load_target_net(None))
    now = adapter._now
    assert isinstance(now, TrackedObjects)
    return now


def carry(now: TrackedObjects, after: Tensor, steady: Steadiness = STEADY) -> Drawn | None:
    frames = gray_bytes(after), gray_bytes(frame())
    return carry_masks(now, frames, SIZE, steady, CONFIG)


def test_masks_are_carried_only_while_they_follow_well() -> None:
    now = tracked()
    drawn = carry(now, frame(1))
    assert drawn is not None
    moved = drawn.window.paste(drawn.window.spread(drawn.logits), SIZE)[0].sigmoid()
    assert agreement(moved, box(1)) > max(0.97, agreement(moved, box(0)))
    assert (drawn.logits == NOWHERE).float().mean() > 0.3
    assert carry(now, frame(1), replace(STEADY, apart=0.05)) is None
    assert carry(now, frame(1), replace(STEADY, carried=2)) is None
    assert carry(now, frame(1, wall=True)) is None
    assert carry(now, frame(1)[:, :100]) is None
    assert carry(now, torch.rand(3, *SIZE)) is None


def test_nothing_is_learned_from_a_carried_frame() -> None:
    now = tracked()
    later = now.carry(now.masks).carry(now.masks)
    assert (later.frames, later.carried, later.recent, later.kept) == (2, 2, now.recent, [])
    assert gather([((0,), later)], SIZE) is later
    # What was due in one of them is due in the next frame that the network sees.
    config = replace(CONFIG, remember_every=2)
    assert later.after(now.masks, now.first, config).kept == [now.first]
    assert later.after(now.masks, now.first, config).carried == 0


@pytest.mark.parametrize("every", [0, 1, 2, 3, 5])
def test_what_is_due_is_done_once(every: int) -> None:
    pattern = np.random.default_rng(every).random(60) < 0.4
    pattern[-1] = True
    done, carried = 0, 0
    for number, seen in enumerate(pattern, start=1):
        if seen:
            done += is_due(every, number, carried)
            passed = range(number - carried, number + 1)
            assert is_due(every, number, carried) == any(every and n % every == 0 for n in passed)
        carried = 0 if seen else carried + 1
    assert (done > 0) == (every > 0)


def test_the_option_says_how_many() -> None:
    def most(preset: str, **options: Any) -> int:
        target = resolve_preset(preset, TrackerOptions(**options)).target
        assert target is not None
        return target.carry

    assert [most(name) for name in ("fast", "balanced", "best")] == [0, 0, 0]
    assert (most("fast", carry=2), most("best", carry=3)) == (2, 3)
