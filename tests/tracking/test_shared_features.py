"""The tracker shares the adapter's backbone features with the proposer: one pass per frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.build import build_tracker
from vostrack.errors import InputError
from vostrack.models.backbones import ResNetBackbone
from vostrack.models.foreground import NetworkConfig, build_network
from vostrack.models.localizer import LocalizerConfig, LocalizerHead, save_localizer
from vostrack.models.shared_backbone import backbone_fingerprint, load_backbone_network
from vostrack.models.target_net import TargetNet, TargetNetConfig
from vostrack.models.target_net_builder import build_target_net
from vostrack.models.weights import save_network, save_target_net
from vostrack.online_finetune.target.adapter import TargetModelAdapter, TargetModelConfig
from vostrack.online_finetune.target.finetune import TargetFinetuneConfig
from vostrack.online_finetune.target.window import WindowConfig
from vostrack.presets.options import TrackerOptions
from vostrack.proposers.hough_voting import HeadLocalizer, HoughProposer
from vostrack.protocols import BackboneFeatures, FeatureProvider, InstanceProposals
from vostrack.tracking.tracker import Tracker, TrackerConfig

Clip = tuple[UInt8Array, UInt8Array]
TINY = LocalizerConfig(width=8, dilations=(1,), deep_width=8, deep_dilations=(1, 2))


class Asking:
    """A temporal filter that asks for proposals on every frame and changes nothing."""

    def __init__(self) -> None:
        self.proposals: list[FloatArray] = []

    def start(self, labels: Any) -> None: ...

    def __call__(
        self, scores: Any, candidates: Callable[[], Any] | None = None, presence: Any = None
    ) -> Any:
        assert candidates is not None
        self.proposals.append(candidates())
        return scores

    def commit(self, labels: Any) -> None: ...

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Any) -> None: ...


class Reading:
    """Records the features it receives, and proposes nothing."""

    def __init__(self) -> None:
        self.order: list[BackboneFeatures | str | None] = []

    def use_features(self, features: BackboneFeatures | None) -> None:
        self.order.append(features)

    def propose(self, frame: Any, foreground: Any) -> InstanceProposals:
        self.order.append("propose")
        nothing = np.zeros((0, *frame.shape[:2]), np.bool_)
        empty = np.zeros(0, np.float32)
        boxes = np.zeros((0, 4), np.float32)
        return InstanceProposals(nothing, empty, empty.astype(np.int64), boxes)


@pytest.fixture(scope="module")
def network() -> TargetNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        small = TargetNetConfig(key=8, value=4, embedding=6, labels=3, widths=(12, 8, 8, 4))
        return build_target_net(small).eval()


@pytest.fixture(scope="module")
def head() -> LocalizerHead:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        made = LocalizerHead(TINY)
        nn.init.normal_(made.regress.weight, std=0.1)
    return made.eval()


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by the pixels of every image that any backbone sees."""
    seen: list[int] = []
    original = ResNetBackbone.stage

    def stage(self: ResNetBackbone, x: Tensor, stride: int) -> Tensor:
        if stride == 2:
            seen.append(x.shape[-2] * x.shape[-1])
        return original(self, x, stride)

    monkeypatch.setattr(ResNetBackbone, "stage", stage)
    return seen


def adapt(network: TargetNet, **changes: Any) -> TargetModelAdapter:
    config = TargetModelConfig(
        window=WindowConfig(pixels=64 * 64),
        finetune=TargetFinetuneConfig(steps=0),
        # With random weights objects are lost at once. The search for them has passes of its own.
        imagined=0,
        doubt_every=0,
        precision="fp32",
    )
    return TargetModelAdapter(network, replace(config, **changes))


def follow(adapter: Any, proposer: Any, clip: Clip, asking: Asking | None = None) -> None:
    frames, labels = clip
    config = TrackerConfig(max_size=45, gate="none")
    tracker = Tracker(adapter, temporal_filter=asking or Asking(), proposer=proposer, config=config)
    tracker.start(frames[0], labels[0])
    for frame in frames[1:4]:
        tracker.step(frame)


@pytest.mark.parametrize("mirror", [False, True])
def test_a_frame_costs_no_pass_beyond_the_adapters(
    network: TargetNet, head: LocalizerHead, clip: Clip, passes: list[int], mirror: bool
) -> None:
    follow(adapt(network, mirror=mirror), Reading(), clip)
    alone = list(passes)
    assert len(alone) == (1 + 3 * 2 if mirror else 1 + 3)
    passes.clear()
    asking = Asking()
    follow(adapt(network, mirror=mirror), HoughProposer(HeadLocalizer(network, head)), clip, asking)
    assert passes == alone
    assert len(asking.proposals) == 3


def test_a_head_on_another_backbone_runs_its_own_pass(
    network: TargetNet, head: LocalizerHead, clip: Clip, passes: list[int]
) -> None:
    other = build_network(NetworkConfig("resnet18", (4, 8, 16), "topdown", 8, "folded")).eval()
    assert backbone_fingerprint(other) != backbone_fingerprint(network)
    # Scores of random weights are all foreground from nought on, so that there are votes to cast.
    follow(adapt(network), HoughProposer(HeadLocalizer(other, head)), clip)
    assert len(passes) == 1 + 2 * 3


def test_features_are_shared_before_each_proposal_and_not_after(
    network: TargetNet, clip: Clip
) -> None:
    adapter, reading = adapt(network), Reading()
    assert isinstance(adapter, FeatureProvider)
    follow(adapter, reading, clip)
    assert reading.order[1::2] == ["propose"] * 3
    assert all(isinstance(features, BackboneFeatures) for features in reading.order[::2])
    assert adapter.shared_features() is None


def test_adapters_without_a_backbone_share_nothing(adapter: Any, clip: Clip) -> None:
    reading = Reading()
    follow(adapter, reading, clip)
    assert reading.order == [None, "propose"] * 3


def test_target_models_read_a_head_of_their_own_network(
    head: LocalizerHead, network: TargetNet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, weights = tmp_path / "head.safetensors", tmp_path / "weights.safetensors"
    options = TrackerOptions(craf=True, proposer="hough", proposer_options={"localizer": str(file)})
    save_target_net(network, weights)

    def build(preset: str, source: str, backbone: str) -> tuple[Tracker, str]:
        save_localizer(head, file, backbone=backbone)
        caplog.clear()
        with caplog.at_level("INFO", "vostrack.proposers"):
            tracker = build_tracker(preset, device="cpu", weights=source, options=options)
        assert isinstance(tracker.proposer, HoughProposer)
        localizer = tracker.proposer.localizer
        assert isinstance(localizer, HeadLocalizer)
        assert localizer.backbone == backbone
        return tracker, caplog.text

    shipped, own = (
        backbone_fingerprint(load_backbone_network("target")),
        backbone_fingerprint(network),
    )
    for source, backbone in (("auto", shipped), (str(weights), own)):
        tracker, said = build("fast", source, backbone)
        assert isinstance(tracker.adapter, TargetModelAdapter)
        assert tracker.proposer.localizer._network is tracker.adapter.generic  # type: ignore[union-attr]
        assert said == ""
    # The right backbone is there, but it is not the one that the tracker runs.
    for preset, source, backbone in (
        ("fast", str(weights), shipped),
        ("fast", "auto", backbone_fingerprint(load_backbone_network("foreground"))),
        ("finetune", "shipped", shipped),
    ):
        assert "a pass of its own backbone" in build(preset, source, backbone)[1]
    with pytest.raises(InputError, match="was trained on the backbone"):
        build("fast", "auto", own)


def test_a_head_needs_the_proposer() -> None:
    given = {"localizer": "head.safetensors"}
    for proposer, words in (("none", "there is no proposer"), ("components", "no option")):
        options = TrackerOptions(craf=True, proposer=proposer, proposer_options=given)
        with pytest.raises(InputError, match=words):
            build_tracker("fast", device="cpu", options=options)


def test_fitted_networks_hand_nothing_on_and_the_head_runs_its_own_backbone(
    head: LocalizerHead, clip: Clip, tmp_path: Path, passes: list[int]
) -> None:
    file, weights = tmp_path / "head.safetensors", tmp_path / "weights.safetensors"
    small = build_network(NetworkConfig("resnet18", (4, 8), "topdown", 8, "folded"))
    save_network(small, weights)
    save_localizer(head, file, backbone=backbone_fingerprint(load_backbone_network("target")))
    options = TrackerOptions(
        foreground_steps=0,
        object_steps=0,
        proposer="hough",
        proposer_options={"localizer": str(file)},
        gate="none",
        refiner="none",
    )
    tracker = build_tracker("finetune", device="cpu", weights=str(weights), options=options)
    assert not isinstance(tracker.adapter, FeatureProvider)
    tracker.temporal_filter = Asking()
    assert isinstance(tracker.proposer, HoughProposer)
    frames, labels = clip
    tracker.start(frames[0], labels[0])
    # One pass for the foreground and both objects, whose backbone is the same, one for the head.
    for frame in frames[1:3]:
        passes.clear()
        tracker.step(frame)
        assert len(passes) == 2
