"""A head reads the features that a tracker lends, and computes none where they fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vostrack.arrays import FloatArray
from vostrack.errors import InputError
from vostrack.models.localizer import LocalizerConfig, LocalizerHead, save_localizer
from vostrack.models.shared_backbone import (
    BackboneKind,
    backbone_fingerprint,
    backbone_levels,
    load_backbone_network,
)
from vostrack.models.target_net import TargetNet, TargetNetConfig
from vostrack.models.target_net_builder import build_target_net
from vostrack.proposers.hough_voting import HeadLocalizer, HoughOptions, HoughProposer, build_hough
from vostrack.proposers.registry import build_proposer
from vostrack.proposers.sources import ProposerSources
from vostrack.protocols import BackboneFeatures, FeatureConsumer

CPU = torch.device("cpu")
# Heads on the features of an image do not look at the class map.
UNREAD = np.zeros((2, 1, 1), np.float32)
TINY = LocalizerConfig(width=8, dilations=(1,), deep_width=8, deep_dilations=(1, 2))


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
def image() -> Tensor:
    return torch.rand(1, 3, 96, 160, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def mask() -> FloatArray:
    mask = np.zeros((1, 12, 20), np.float32)
    mask[0, 4:9, 6:14] = 0.9
    return mask


def lend(network: TargetNet, image: Tensor, box: tuple[int, int, int, int]) -> BackboneFeatures:
    """The features of a window at its own size, as an adapter hands them out."""
    x0, y0, x1, y1 = box
    height, width = image.shape[-2:]
    maps = backbone_levels(network, image[..., y0:y1, x0:x1])
    shares = (x0 / width, y0 / height, x1 / width, y1 / height)
    return BackboneFeatures(
        backbone_fingerprint(network), maps[2], maps[3], shares, (y1 - y0, x1 - x0)
    )


def count_passes(network: TargetNet, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    passes: list[int] = []
    original = network.backbone.stage

    def stage(x: Tensor, stride: int) -> Tensor:
        if stride == 2:
            passes.append(1)
        return original(x, stride)

    monkeypatch.setattr(network.backbone, "stage", stage)
    return passes


def test_a_lent_frame_gives_the_boxes_of_a_pass_without_one(
    network: TargetNet,
    head: LocalizerHead,
    image: Tensor,
    mask: FloatArray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    localizer = HeadLocalizer(network, head, agreement=1.0)
    lent = lend(network, image, (0, 0, 160, 96))
    passes = count_passes(network, monkeypatch)
    own = localizer.boxes(image, mask, UNREAD)
    assert len(passes) == 1
    localizer.use_features(lent)
    read = localizer.boxes(torch.zeros_like(image), mask, UNREAD)
    assert len(passes) == 1
    np.testing.assert_allclose(read, own, atol=1e-3)
    # They are for one frame.
    localizer.boxes(torch.zeros_like(image), mask, UNREAD)
    assert len(passes) == 2


def test_features_of_another_trunk_are_not_read(
    network: TargetNet, head: LocalizerHead, image: Tensor, mask: FloatArray
) -> None:
    localizer = HeadLocalizer(network, head, agreement=1.0)
    own = localizer.boxes(image, mask, UNREAD)
    lent = lend(network, torch.zeros_like(image), (0, 0, 160, 96))
    localizer.use_features(replace(lent, backbone="target-another"))
    np.testing.assert_array_equal(localizer.boxes(image, mask, UNREAD), own)
    localizer.use_features(lent)
    assert not np.allclose(localizer.boxes(image, mask, UNREAD), own)


def test_in_a_window_boxes_are_pixels_of_the_frame(
    network: TargetNet, head: LocalizerHead, image: Tensor, mask: FloatArray
) -> None:
    """The window is a picture by itself, laid at its place."""
    localizer = HeadLocalizer(network, head, agreement=1.0)
    box = (32, 16, 128, 80)
    alone = localizer.boxes(image[..., 16:80, 32:128].contiguous(), mask[:, 2:10, 4:16], UNREAD)
    localizer.use_features(lend(network, image, box))
    found = localizer.boxes(image, mask, UNREAD)
    expected = alone + np.array([32, 16, 32, 16], np.float32)[:, None, None]
    np.testing.assert_allclose(found[:, :, 2:10, 4:16], expected, atol=1e-3)
    # Outside of the window a cell has what there is without a head.
    rough = HeadLocalizer(None, None).boxes(image, mask, UNREAD)
    np.testing.assert_array_equal(found[:, :, :2], rough[:, :, :2])
    np.testing.assert_array_equal(found[:, :, :, 16:], rough[:, :, :, 16:])


def test_a_window_holds_for_the_frame_at_any_resolution(
    network: TargetNet, head: LocalizerHead, image: Tensor, mask: FloatArray
) -> None:
    localizer = HeadLocalizer(network, head, agreement=1.0)
    localizer.use_features(lend(network, image, (32, 16, 128, 80)))
    small = localizer.boxes(image, mask, UNREAD)
    localizer.use_features(lend(network, image, (32, 16, 128, 80)))
    doubled = np.kron(mask, np.ones((1, 2, 2), np.float32))
    large = localizer.boxes(torch.zeros(1, 3, 192, 320), doubled, UNREAD)
    inside = large[:, :, 4:20:2, 8:32:2]
    np.testing.assert_allclose(inside, 2 * small[:, :, 2:10, 4:16], atol=1e-2)


def test_the_proposer_hands_on_what_it_is_lent_once(
    network: TargetNet,
    head: LocalizerHead,
    image: Tensor,
    mask: FloatArray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proposer = HoughProposer(HeadLocalizer(network, head))
    assert isinstance(proposer, FeatureConsumer)
    frame = (image[0].permute(1, 2, 0) * 255).byte().numpy()
    foreground = np.kron(mask[0], np.ones((8, 8), np.float32))
    lent = lend(network, image, (0, 0, 160, 96))
    passes = count_passes(network, monkeypatch)
    proposer.use_features(lent)
    assert len(proposer.propose(frame, foreground)) > 0
    assert not passes
    proposer.propose(frame, foreground)
    assert len(passes) == 1
    proposer.use_features(lent)
    proposer.propose(frame, foreground * 0)  # no cell votes
    proposer.propose(frame, foreground)
    assert len(passes) == 2


def test_a_file_is_read_on_the_trunk_that_it_names(
    network: TargetNet, head: LocalizerHead, tmp_path: Path
) -> None:
    file = tmp_path / "head.safetensors"
    save_localizer(head, file, backbone=backbone_fingerprint(network))
    assert HeadLocalizer.load(CPU, file, tracked=network)._network is network
    with pytest.raises(InputError, match=r"head\.safetensors was trained on the backbone target-"):
        HeadLocalizer.load(CPU, file)
    for kind in get_args(BackboneKind):
        name = backbone_fingerprint(load_backbone_network(kind))
        save_localizer(head, file, backbone=name)
        localizer = HeadLocalizer.load(CPU, file, tracked=network)
        assert localizer.backbone == name
        assert backbone_fingerprint(localizer._network) == name  # type: ignore[arg-type]
    save_localizer(head, file)  # as earlier versions did
    assert HeadLocalizer.load(CPU, file).backbone == name
    save_localizer(head, file, backbone="something else")
    with pytest.raises(InputError, match="something else"):
        HeadLocalizer.load(CPU, file)
    with pytest.raises(InputError, match="needs the network"):
        HeadLocalizer(None, head)


def test_the_foreground_network_is_loaded_where_a_foreground_is_asked_for(
    network: TargetNet, head: LocalizerHead, image: Tensor, mask: FloatArray
) -> None:
    localizer = HeadLocalizer(network, head)
    localizer.boxes(image, mask, UNREAD)
    assert localizer._foreground is None
    shipped = load_backbone_network("foreground")
    with torch.no_grad():
        expected = shipped(image).softmax(1)[0, 1].numpy()
    np.testing.assert_allclose(localizer.foreground(image), expected, atol=1e-5)
    # The maps of the one network are not taken for those of the other.
    fresh = HeadLocalizer(network, head).boxes(image, mask, UNREAD)
    np.testing.assert_array_equal(localizer.boxes(image, mask, UNREAD), fresh)


def test_settings_reach_the_proposer_by_name(
    network: TargetNet, head: LocalizerHead, tmp_path: Path
) -> None:
    file = tmp_path / "head.safetensors"
    save_localizer(head, file, backbone=backbone_fingerprint(network))
    made = build_proposer("hough", options={"localizer": str(file)}, tracked=network)
    assert isinstance(made, HoughProposer)
    assert isinstance(made.localizer, HeadLocalizer)
    assert made.localizer.backbone == backbone_fingerprint(network)
    sources = ProposerSources(tracked=network)
    assert isinstance(build_hough(HoughOptions(str(file)), sources).localizer, HeadLocalizer)
    plain = build_proposer("hough", options={"localizer": "none"}, tracked=network)
    assert isinstance(plain, HoughProposer)
    assert isinstance(plain.localizer, HeadLocalizer)
    assert plain.localizer.backbone is None
