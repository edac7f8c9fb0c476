"""The proposer: class by class, on a foreground, on given masks; and what it draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from vostrack.errors import InputError
from vostrack.masks.palette import write_label_map
from vostrack.models.fcrn import FcrnConfig, build_fcrn, save_fcrn
from vostrack.models.foreground import NetworkConfig, build_network
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

Frame = NDArray[np.uint8]


def scene() -> tuple[Frame, NDArray[np.uint8]]:
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

    def boxes(self, image: Tensor, masks: NDArray[np.float32]) -> NDArray[np.float32]:
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
    np.testing.assert_allclose(localizer.boxes(image, mask[None])[0], expected, atol=1e-3)
    headless = HeadLocalizer(localizer._network, None)
    np.testing.assert_array_equal(headless.boxes(image, mask[None])[0], expected)


def test_without_a_foreground_the_localizers_own_is_used_in_one_trunk_pass() -> None:
    frame, _ = scene()
    localizer = head_localizer()
    passes: list[int] = []
    network = localizer._network
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


def test_a_head_is_saved_and_loaded(tmp_path: Path) -> None:
    head = LocalizerHead(LocalizerConfig((8, 16), 4, (1, 3)))
    nn.init.normal_(head.regress.weight)
    save_localizer(head, tmp_path / "head.safetensors", half=True)
    loaded = load_localizer(tmp_path / "head.safetensors")
    assert loaded.config == head.config
    for name, value in head.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value, rtol=1e-3, atol=1e-4)
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(InputError, match="no localisation head"):
        load_localizer(tmp_path / "other.pt")


def test_a_localisation_fcrn_takes_part_class_by_class(tmp_path: Path) -> None:
    frame, _ = scene()
    save_fcrn(build_fcrn(FcrnConfig(50, 16, 3, 6), 80, "none"), tmp_path / "net.safetensors")
    options = HoughOptions(localizer=tmp_path / "net.safetensors", min_cells=1, multi_view=True)
    proposer = build_hough(options, ProposerSources(semantic=ColourClasses()))
    assert isinstance(proposer.localizer, FcrnLocalizer)
    boxes = proposer.localizer.boxes(torch.rand(1, 3, 80, 120), np.zeros((2, 5, 8), np.float32))
    assert boxes.shape == (20, 4, 5, 8)
    assert set(proposer.propose(frame, None).labels.tolist()) <= {3, 7}
    with pytest.raises(InputError, match="semantic"):
        build_hough(options, ProposerSources()).propose(frame, None)
