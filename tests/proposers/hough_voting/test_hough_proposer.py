"""The proposer: class by class, on a foreground, on given masks; and what it draws."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.errors import InputError
from vostrack.masks.palette import write_label_map
from vostrack.models.fcrn import FcrnConfig, build_fcrn, save_fcrn
from vostrack.models.foreground import NetworkConfig, SegmentationNet, build_network
from vostrack.models.localizer import (
    LocalizerConfig,
    LocalizerHead,
    component_boxes,
    load_localizer,
    save_localizer,
)
from vostrack.proposers.hough_voting import (
    FcrnLocalizer,
    HeadLocalizer,
    HoughOptions,
    HoughProposer,
    VotingConfig,
    build_hough,
)
from vostrack.proposers.sources import ImageProposer, ProposerSources

# Heads on the features of an image do not look at the class map.
UNREAD = np.zeros((2, 1, 1), np.float32)


def scene() -> tuple[UInt8Array, UInt8Array]:
    """A frame whose red is the class map times ten: a class 3 pair that touches, one of class 7."""
    ids = np.zeros((80, 120), np.uint8)
    ids[16:64, 8:40], ids[16:64, 40:64], ids[24:56, 80:112] = 1, 2, 3
    classes = np.array([0, 3, 3, 7], np.uint8)[ids]
    frame = np.stack([classes * 10] * 3, axis=-1)
    return frame, ids


class ColourClasses(nn.Module):
    """Reads the class of each pixel off the frame of ``scene``."""

    def forward(self, image: Tensor) -> Tensor:
        labels = (image[:, 0] * 25.5).round().long()
        return 12 * nn.functional.one_hot(labels, 21).permute(0, 3, 1, 2).float()


class TrueBoxes:
    """Knows the boxes of ``scene``."""

    stride = 8

    def boxes(self, image: Tensor, masks: FloatArray, probabilities: FloatArray) -> FloatArray:
        boxes = np.zeros((1, 4, *masks.shape[1:]), np.float32)
        boxes[0, :, :, :5] = np.array([8, 16, 40, 64])[:, None, None]
        boxes[0, :, :, 5:9] = np.array([40, 16, 64, 64])[:, None, None]
        boxes[0, :, :, 9:] = np.array([80, 24, 112, 56])[:, None, None]
        return boxes


def head_localizer(seed: int = 0) -> HeadLocalizer:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build_network(NetworkConfig("resnet18", (4, 8, 16), "topdown", 16, "folded"))
        head = LocalizerHead(LocalizerConfig(width=8, dilations=(1, 2)))
    return HeadLocalizer(network.eval(), head.eval())


def test_instances_of_a_class_come_apart_and_keep_their_class() -> None:
    frame, ids = scene()
    proposer = HoughProposer(TrueBoxes(), VotingConfig(), semantic=ColourClasses())
    proposals = proposer.propose(frame, None)
    assert sorted(proposals.labels.tolist()) == [3, 3, 7]
    found = {tuple(box): mask for box, mask in zip(proposals.boxes, proposals.masks, strict=True)}
    for number, box in ((1, (8, 16, 40, 64)), (2, (40, 16, 64, 64)), (3, (80, 24, 112, 56))):
        np.testing.assert_array_equal(found[box], ids == number)
    assert (proposals.scores > 0.99).all()


def test_on_a_foreground_it_knows_no_classes() -> None:
    frame, ids = scene()
    proposals = HoughProposer(TrueBoxes()).propose(frame, (ids > 0).astype(np.float32))
    assert proposals.labels.tolist() == [0, 0, 0]
    assert np.array_equal(proposals.masks.any(axis=0), ids > 0)


def test_given_class_masks_take_the_networks_place(tmp_path: Path) -> None:
    frame, ids = scene()
    write_label_map(tmp_path / "one.png", np.where(ids == 3, 255, frame[..., 0] // 10))
    proposer = HoughProposer(TrueBoxes(), semantic_masks=tmp_path)
    assert isinstance(proposer, ImageProposer)
    proposals = proposer.propose_image("one", frame)
    assert proposals.labels.tolist() == [3, 3]
    with pytest.raises(InputError, match=r"two\.png"):
        proposer.propose_image("two", frame)


def test_drawings_are_written_for_each_image(tmp_path: Path) -> None:
    frame, _ = scene()
    proposer = HoughProposer(TrueBoxes(), semantic=ColourClasses(), save_votes=tmp_path / "votes")
    proposer.propose_image("name", frame)
    proposer.propose(frame, None)
    assert sorted(p.name for p in (tmp_path / "votes").iterdir()) == ["00000.png", "name.png"]
    picture = np.array(Image.open(tmp_path / "votes" / "name.png"))
    assert picture.shape == (80, 360, 3)
    # All votes of the large square meet in its centre, cell (5, 3), drawn in the middle panel.
    heat = picture[:, 120:240].astype(int).sum(axis=2)
    assert heat[44, 28] == heat.max()
    assert heat[4, 100] == heat.min()


def test_an_untrained_head_votes_for_the_connected_components() -> None:
    frame, ids = scene()
    foreground = (ids > 0).astype(np.float32)
    localizer = head_localizer()
    proposals = HoughProposer(localizer).propose(frame, foreground)
    assert sorted(tuple(b) for b in proposals.boxes) == [(8, 16, 64, 64), (80, 24, 112, 56)]
    image = torch.zeros(1, 3, 80, 120)
    mask = foreground.reshape(10, 8, 15, 8).mean((1, 3))
    expected = component_boxes(mask, 8)
    np.testing.assert_allclose(localizer.boxes(image, mask[None], UNREAD)[0], expected, atol=1e-3)
    headless = HeadLocalizer(localizer._network, None)
    np.testing.assert_array_equal(headless.boxes(image, mask[None], UNREAD)[0], expected)


def test_without_a_foreground_the_localizers_own_is_used_in_one_trunk_pass() -> None:
    frame, _ = scene()
    localizer = head_localizer()
    passes: list[int] = []
    network = localizer._network
    assert isinstance(network, SegmentationNet)
    network.backbone.register_forward_hook(lambda *_: passes.append(1))
    image = torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        expected = network(image).softmax(1)[0, 1].numpy()
    np.testing.assert_allclose(localizer.foreground(image), expected, atol=1e-5)
    passes.clear()
    HoughProposer(localizer, VotingConfig(floor=0.0)).propose(frame, None)
    assert len(passes) == 1


def test_component_boxes_are_those_of_the_components() -> None:
    mask = np.zeros((6, 8), np.float32)
    mask[1:3, 1:3], mask[4, 5:8] = 0.9, 0.5
    boxes = component_boxes(mask, 8)
    assert boxes[:, 1, 2].tolist() == [8, 8, 24, 24]
    assert boxes[:, 4, 6].tolist() == [40, 32, 64, 40]
    assert boxes[:, 0, 0].tolist() == [8, 8, 24, 24]  # nearest
    assert component_boxes(mask * 0, 8)[:, 3, 3].tolist() == [0, 0, 64, 48]


class HalfBoxes(LocalizerHead):
    """Sees half of each component: the left half of its box, to ``share`` of its width."""

    def __init__(self, share: float, longest: int = 320) -> None:
        super().__init__(LocalizerConfig(width=4, dilations=(), deep_width=4, longest=longest))
        self.share = share
        self.grids: list[tuple[int, ...]] = []

    def forward(self, fine: Tensor, coarse: Tensor, mask: Tensor, components: Tensor) -> Tensor:
        self.grids.append(tuple(mask.shape[1:]))
        x, y, width, height = components.unbind(1)
        cut = width * self.share
        return torch.stack([x - (width - cut) / 2, y, cut, height], dim=1)


def test_a_box_that_agrees_with_the_component_becomes_the_components() -> None:
    _, ids = scene()
    mask = (ids > 0).astype(np.float32).reshape(10, 8, 15, 8).mean((1, 3))[None]
    image = torch.zeros(1, 3, 80, 120)
    network = head_localizer()._network
    agreeing = HeadLocalizer(network, HalfBoxes(0.75), agreement=0.7).boxes(image, mask, UNREAD)
    np.testing.assert_allclose(agreeing[0], component_boxes(mask[0], 8))
    other = HeadLocalizer(network, HalfBoxes(0.75), agreement=0.8).boxes(image, mask, UNREAD)
    assert other[0, :, 4, 4].tolist() == [8, 16, 50, 64]
    with pytest.raises(InputError, match="agreement"):
        HeadLocalizer(network, None, agreement=1.5)


def test_a_head_sees_pictures_no_larger_than_those_it_was_trained_on() -> None:
    _, ids = scene()
    mask = (ids > 0).astype(np.float32).reshape(10, 8, 15, 8).mean((1, 3))
    large = np.kron(mask, np.ones((4, 4), np.float32))[None]
    head = HalfBoxes(0.5, longest=240)
    localizer = HeadLocalizer(head_localizer()._network, head)
    boxes = localizer.boxes(torch.zeros(1, 3, 320, 480), large, UNREAD)
    assert head.grids == [(20, 30)]
    assert boxes.shape == (1, 4, 40, 60)
    # The pair of squares spans 32..256 by 64..256 now; its left half is what the head sees.
    np.testing.assert_allclose(boxes[0, :, 20, 20], [32, 64, 144, 256], atol=1e-3)


def test_a_head_corrects_components_in_their_own_size() -> None:
    head = LocalizerHead(LocalizerConfig((8, 16), 4, (1,), 4, (1, 2)))
    assert head.regress.bias is not None
    head.regress.bias.data = torch.tensor([0.25, 0, math.log(0.5), 9.0])
    components = torch.tensor([0.1, -0.2, 0.8, 2.0])[None, :, None, None].repeat(1, 1, 5, 7)
    components[..., 6] *= 2
    with torch.no_grad():
        found = head(
            torch.rand(1, 8, 5, 7), torch.rand(1, 16, 3, 4), torch.rand(1, 5, 7), components
        )
    # A quarter of the width to the right, half as wide, at most e squared as high.
    expected = torch.tensor([0.1 + 0.25 * 0.8, -0.2, 0.4, 2.0 * math.exp(2)])
    torch.testing.assert_close(found[0, :, 2, 2], expected)
    torch.testing.assert_close(found[0, :, 2, 6], 2 * expected)


def test_what_a_head_sees_of_a_component_does_not_depend_on_its_scale() -> None:
    head = LocalizerHead(LocalizerConfig((8, 16), 4, (1,), 4, (1, 2)))
    nn.init.normal_(head.regress.weight)
    head.given.weight.data[:, 3:] = 0  # the size itself, which it may see
    features = torch.rand(1, 8, 4, 4), torch.rand(1, 16, 2, 2), torch.rand(1, 4, 4)
    components = torch.rand(1, 4, 4, 4) + 0.1
    with torch.no_grad():
        torch.testing.assert_close(head(*features, 3 * components), 3 * head(*features, components))


def test_a_head_is_saved_and_loaded(tmp_path: Path) -> None:
    head = LocalizerHead(LocalizerConfig((8, 16), 4, (1, 3)))
    nn.init.normal_(head.regress.weight)
    save_localizer(head, tmp_path / "head.safetensors", half=True)
    loaded = load_localizer(tmp_path / "head.safetensors")
    assert loaded.config == head.config
    for name, value in head.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value, rtol=1e-3, atol=1e-4)
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(InputError, match="expected localisation head weights"):
        load_localizer(tmp_path / "other.pt")


def test_a_localisation_fcrn_takes_part_class_by_class(tmp_path: Path) -> None:
    frame, _ = scene()
    save_fcrn(build_fcrn(FcrnConfig(50, 16, 3, 6), 80, "none"), tmp_path / "net.safetensors")
    options = HoughOptions(
        localizer=str(tmp_path / "net.safetensors"), min_cells=1, multi_view=True
    )
    proposer = build_hough(options, ProposerSources(semantic=ColourClasses()))
    assert isinstance(proposer.localizer, FcrnLocalizer)
    boxes = proposer.localizer.boxes(
        torch.rand(1, 3, 80, 120), np.zeros((2, 5, 8), np.float32), UNREAD
    )
    assert boxes.shape == (20, 4, 5, 8)
    assert set(proposer.propose(frame, None).labels.tolist()) <= {3, 7}
    with pytest.raises(InputError, match="boxes of 20 classes"):
        build_hough(options, ProposerSources())
    build_hough(options, ProposerSources(semantic_masks=tmp_path))
    one = tmp_path / "one.safetensors"
    save_fcrn(build_fcrn(FcrnConfig(50, 16, 3, 6), 4, "none"), one)
    agnostic = build_hough(replace(options, localizer=str(one)), ProposerSources())
    assert agnostic.propose(frame, np.ones((80, 120), np.float32)).masks.shape[1:] == (80, 120)
    with pytest.raises(InputError, match="semantic"):
        agnostic.propose(frame, None)
