"""What CUDA would refuse, found on the CPU: types, devices, and waits of the host."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.compute.fake_device import DEVICE, FakeDevice, fake_device
from vostrack.build import build_tracker
from vostrack.models.foreground import NetworkConfig
from vostrack.models.memory_cues import RidgeRegression, Statistics
from vostrack.models.target_net import TargetNet, TargetNetConfig
from vostrack.models.target_net_builder import build_target_net
from vostrack.models.weights import initialise
from vostrack.online_finetune.target.recipe import TargetRecipe, TargetTraining
from vostrack.online_finetune.target.training_clip import TrainingClip
from vostrack.presets import PRESETS, TrackerOptions
from vostrack.refine.spn import LightGuidanceHead, LightSpnConfig
from vostrack.refine.spn.recipe import SpnRecipe
from vostrack.refine.spn.training import SpnTraining
from vostrack.refine.spn.training_images import TrainingImage
from vostrack.tracking.tracker import Tracker
from vostrack.training.foreground import ForegroundRecipe, ForegroundTraining
from vostrack.training.loop import LoopConfig, train

pytestmark = pytest.mark.usefixtures("few_altered_frames")

ONE_STEP = {
    "fast": {},
    "balanced": {"object_steps": 1},
    "best": {"object_steps": 1},
    "finetune": {"object_steps": 1, "foreground_steps": 1},
    "paper": {"object_steps": 1, "foreground_steps": 0},
}
# The functions that may make the host wait while a frame is tracked.
DECLARED = {
    "vostrack.compute.optical_flow.gray_bytes",  # the frame, for the flow
    "vostrack.models.cells_by_owner.cells_by_owner",  # in place of the next, with several objects
    "vostrack.models.memory_reader._best_matches",  # which cells any object covers
    "vostrack.online_finetune.target.adapter.commit",  # which objects are in sight
    "vostrack.online_finetune.target.detached_pieces.drop_detached_pieces",
    "vostrack.online_finetune.target.doubt.doubtful_objects",  # which look unlike themselves
    "vostrack.online_finetune.target.doubt.find_elsewhere",
    "vostrack.online_finetune.target.flow_fusion.on_host",  # the masks before, and the logits
    "vostrack.online_finetune.target.places.find_places",
    "vostrack.refine.dense_crf.sampled._uncertain",  # which pixels
    "vostrack.tracking.fusion.mean_scores",
    "vostrack.tracking.frame_loop._filtered",
    "vostrack.tracking.frame_loop.estimated_presence",
    "vostrack.tracking.frame_loop.finish_frame",
    "vostrack.tracking.support.stage.__call__",  # while objects touch
    "vostrack.tracking.support.stage.commit",
    "vostrack.tracking.support.stage.judge",
    "vostrack.tracking.tracker._step",
}


def scene(objects: int) -> tuple[Any, Any]:
    frame = np.random.default_rng(1).integers(0, 255, (64, 80, 3), dtype=np.uint8)
    mask = np.zeros((64, 80), np.uint8)
    for k in range(objects):
        y, x = divmod(k, 4)
        mask[y * 32 + 4 : y * 32 + 28, x * 20 + 2 : x * 20 + 18] = k + 1
    return frame, mask


def on_the_device(preset: str) -> Tracker:
    # A ResNet-50 takes a minute in bfloat16 where it is emulated; the code is that of finetune.
    precision, weights = ("fp32", "none") if preset == "paper" else ("bf16", "auto")
    options = TrackerOptions(precision=precision, **ONE_STEP[preset])  # type: ignore[arg-type]
    return build_tracker(preset, device="cuda", weights=weights, options=options)


@pytest.mark.parametrize("preset", ONE_STEP)
def test_every_preset_starts_and_steps_and_waits_in_declared_places(
    preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A ResNet-50 has the same blocks as the ResNet-101 of the paper, and half of its layers.
    paper = PRESETS["paper"]
    shorter = replace(paper, network=replace(paper.network, backbone="resnet50"))
    monkeypatch.setitem(PRESETS, "paper", shorter)
    chosen = PRESETS[preset]
    if chosen.target is not None:
        # Every frame is then one in which the objects are compared with their given masks.
        target = replace(chosen.target, doubt_every=1)
        monkeypatch.setitem(PRESETS, preset, replace(chosen, target=target))
    frame, mask = scene(2)
    with fake_device() as device:
        tracker = on_the_device(preset)
        tracker.start(frame, mask)
        tracker.step(frame)
        device.waits.clear()
        result = tracker.step(frame)
    assert np.isfinite(result.scores).all()
    assert {place.rpartition(" ")[2] for place in device.waits} <= DECLARED
    # In noise objects are in doubt: some of the waits are of the search for them.
    assert 0 < device.waits.total() <= 24, device.waits


@pytest.mark.parametrize(("preset", "most"), [("fast", 20), ("finetune", 8)])
def test_a_step_waits_no_more_often_for_many_objects(preset: str, most: int) -> None:
    """Objects that are lost are segmented as a group of their own: two groups at most."""
    counts = {}
    for objects in (1, 8):
        frame, mask = scene(objects)
        with fake_device() as device:
            options = TrackerOptions(
                object_steps=0, foreground_steps=0 if preset == "finetune" else None
            )
            tracker = build_tracker(preset, device="cuda", options=options)
            tracker.start(frame, mask)
            device.waits.clear()
            tracker.step(frame)
        counts[objects] = device.waits.total()
    assert max(counts.values()) <= most, counts


def follow(recipe: Any, network: nn.Module, folder: Path, device: FakeDevice) -> Counter[str]:
    """Train two steps; return how often the host waited in the second."""
    seen: list[Counter[str]] = []

    def note(_done: int, loss: float) -> None:
        assert np.isfinite(loss)
        seen.append(device.waits.copy())

    config = LoopConfig(steps=2, precision="bf16", checkpoint_every=9, average=0.9)
    train(network, recipe, config, folder, on_step=note)
    return seen[1] - seen[0]


def train_target(folder: Path, device: FakeDevice) -> Counter[str]:
    frames = torch.randint(0, 255, (3, 3, 48, 48), dtype=torch.uint8)
    labels = torch.zeros(3, 48, 48, dtype=torch.uint8)
    labels[:, 10:30, 10:30] = 1
    small = TargetNetConfig(key=8, value=8, embedding=8, labels=3, widths=(8, 8, 8, 8))
    network = build_target_net(small).to("cuda")

    class Clips:
        def draw(self, *_: Any) -> TrainingClip:
            return TrainingClip(images=frames, labels=labels, lost=False, resumed=False, seed=1)

    recipe = TargetRecipe(batch=1, pixels=(48 * 48,), clip_length=(3, 3))
    return follow(TargetTraining(network, Clips(), recipe, 2), network, folder, device)


def train_foreground(folder: Path, device: FakeDevice) -> Counter[str]:
    image = torch.randint(0, 255, (3, 40, 50), dtype=torch.uint8)
    labels = torch.zeros(40, 50, dtype=torch.long)
    labels[10:30, 15:35] = 1
    config = NetworkConfig("resnet18", (4, 8), "topdown", 8, "folded")
    network = initialise(config, "none").to("cuda")
    recipe = ForegroundRecipe(batch=2, side=32)
    return follow(ForegroundTraining(network, [(image, labels)], recipe), network, folder, device)


def two_levels(image: Tensor) -> list[Tensor]:
    return [functional.avg_pool2d(image, stride, ceil_mode=True) for stride in (4, 8)]


def train_spn(folder: Path, device: FakeDevice) -> Counter[str]:
    image = torch.randint(0, 255, (3, 64, 64), dtype=torch.uint8)
    labels = torch.zeros(64, 64, dtype=torch.int64)
    labels[16:48, 16:48] = 1
    head = LightGuidanceHead(LightSpnConfig((3, 3))).to("cuda")
    sources = [(1.0, [TrainingImage(image, labels, False)])]
    recipe = SpnRecipe(batch=1, side=32)
    training = SpnTraining(head, sources, recipe, features=two_levels)
    return follow(training, head, folder, device)


@pytest.mark.parametrize("training", [train_target, train_foreground, train_spn])
def test_training_steps_obey_the_rules(
    training: Callable[[Path, FakeDevice], Counter[str]], tmp_path: Path
) -> None:
    with fake_device() as device:
        waits = training(tmp_path, device)
    assert waits.total() <= 60, waits


def test_the_ridge_regression_solves_in_float32_under_autocast() -> None:
    regression = RidgeRegression()
    embedding = torch.randn(2, 9, 4, 6, requires_grad=True)
    mask = torch.rand(2, 1, 4, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16), fake_device():
        statistics = regression.statistics(embedding.bfloat16(), mask * 2 - 1, mask)
        result = regression(embedding.bfloat16(), statistics)
    assert statistics.gram.dtype == result.dtype == torch.float32
    rounded = embedding.bfloat16().float()
    expected = regression(rounded, regression.statistics(rounded, mask * 2 - 1, mask))
    torch.testing.assert_close(result, expected, rtol=0, atol=0)
    torch.autograd.backward(result.sum())
    assert embedding.grad is not None
    assert embedding.grad.isfinite().all()


# The rules themselves, and that faults planted in the package are found.


def test_operands_on_two_devices_are_refused() -> None:
    with fake_device():
        there, here = torch.ones(3, device="cuda"), torch.ones(3)
        assert (there.device, here.device) == (DEVICE, torch.device("cpu"))
        with pytest.raises(RuntimeError, match="on the same device"):
            there.add(here)
        with pytest.raises(RuntimeError, match="on the same device"):
            torch.cat([there, here])
        assert (there * torch.tensor(2.0)).device == DEVICE  # a number of the CPU is allowed
        assert there[torch.tensor([0])].device == DEVICE  # and so are indices
        assert (there.cpu() + here).device == torch.device("cpu")
        assert (here.to(there) + there).device == DEVICE
        with pytest.raises(RuntimeError, match="device type for generator"):
            torch.rand(2, device="cuda", generator=torch.Generator())


def test_gradients_are_on_the_device_of_their_operands() -> None:
    with fake_device():
        layer = nn.Conv2d(3, 4, 3).to("cuda")
        x = torch.rand(1, 3, 8, 8)
        torch.autograd.backward(layer(x.to("cuda"))[:, :2].square().sum())
        assert layer.weight.grad is not None
        assert layer.weight.grad.device == DEVICE
        optimizer = torch.optim.AdamW(layer.parameters())
        torch.nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
        optimizer.step()
        assert layer.weight.device == DEVICE
        with pytest.raises(RuntimeError, match="on the same device"):
            layer(x)


def test_copies_to_the_host_are_counted() -> None:
    with fake_device() as device:
        there = torch.arange(4.0).to("cuda")
        with pytest.raises(TypeError, match="can't convert cuda:0"):
            there.numpy()
        reads: dict[str, Callable[[], Any]] = {
            "item": lambda: there[0].item(),
            "tolist": there.tolist,
            "bool": lambda: bool(there[0] > 0),
            "float": lambda: float(there[0]),
            "cpu": there.cpu,
            "nonzero": there.nonzero,
            "boolean index": lambda: there[there > 1],
            "equal": lambda: torch.equal(there, there),
        }
        for inference in (False, True):
            for kind, read in reads.items():
                device.waits.clear()
                with torch.inference_mode() if inference else contextlib.nullcontext():
                    read()
                assert device.waits == {f"{kind} in a test": 1}, (kind, device.waits)
        device.waits.clear()
        torch.ones(2).tolist()
        assert not device.waits


def test_a_copy_that_is_not_waited_for_is_read_after_a_wait_only() -> None:
    with fake_device() as device:
        there = torch.arange(2.0).to("cuda")
        here = there.to("cpu", non_blocking=True)
        assert not device.waits
        for read in (here.tolist, here.numpy):
            with pytest.raises(RuntimeError, match="may not have arrived"):
                read()
        torch.cuda.synchronize()
        assert here.tolist() == [0, 1]
        assert not device.waits


def test_a_solve_in_half_precision_is_refused() -> None:
    half = torch.eye(2, dtype=torch.bfloat16)
    with pytest.raises(RuntimeError, match="solve is not implemented"), fake_device():
        torch.linalg.solve(half, half)


@contextlib.contextmanager
def _under_autocast(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    yield tensors


def test_a_planted_solve_in_half_precision_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vostrack.models.memory_cues.float32_outside_autocast", _under_autocast)
    right = TargetNet.remember

    def in_half_precision(self: TargetNet, *args: Any, **options: Any) -> Any:
        memory = right(self, *args, **options)
        halves = (x.bfloat16() for x in (memory.statistics.gram, memory.statistics.moment))
        return replace(memory, statistics=Statistics(*halves))

    monkeypatch.setattr(TargetNet, "remember", in_half_precision)
    with fake_device():
        tracker = on_the_device("fast")
        tracker.start(*scene(2))
        with pytest.raises(RuntimeError, match="solve is not implemented"):
            tracker.step(scene(2)[0])


def test_a_planted_tensor_of_the_cpu_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from vostrack.online_finetune.target.window import Window

    right = Window.positions
    on_cpu = torch.device("cpu")
    monkeypatch.setattr(Window, "positions", lambda self, _device: right(self, on_cpu))
    with fake_device():
        tracker = on_the_device("fast")
        tracker.start(*scene(2))
        with pytest.raises(RuntimeError, match="on the same device"):
            tracker.step(scene(2)[0])


def test_a_planted_wait_per_object_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from vostrack.tracking import frame_loop as module

    def one_by_one(scores: Tensor, slots: Tensor) -> tuple[float, ...]:
        return tuple(float(score[slots == k + 1].sum()) for k, score in enumerate(scores))

    monkeypatch.setattr(module, "mean_scores", one_by_one)
    with pytest.raises(AssertionError):
        test_a_step_waits_no_more_often_for_many_objects("finetune", 8)
