"""The localizer that goes by the shapes of masks: scenes, training, inference, wiring."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vostrack.arrays import BoolArray, FloatArray, UInt8Array
from vostrack.cli import main
from vostrack.datasets.label_maps import DrawnMaps
from vostrack.errors import InputError
from vostrack.models.localizer import (
    LocalizerConfig,
    LocalizerHead,
    component_boxes,
    load_localizer,
    localizer_fingerprint,
    save_localizer,
)
from vostrack.models.weights import shipped_weights
from vostrack.proposers.displacement.networks import DisplacementNet, load_displacement_net
from vostrack.proposers.displacement.scenes import SceneConfig
from vostrack.proposers.hough_voting import (
    HeadLocalizer,
    HoughOptions,
    HoughProposer,
    MaskLocalizer,
    build_hough,
)
from vostrack.proposers.hough_voting.boxes import decode_boxes
from vostrack.proposers.hough_voting.mask_localizer import label_map_features, label_map_fingerprint
from vostrack.proposers.hough_voting.mask_recipe import (
    MaskItem,
    MaskRecipe,
    MaskTraining,
    draw_items,
)
from vostrack.proposers.sources import ProposerSources

CPU = torch.device("cpu")
SCENES = SceneConfig(side=64, longest=(60, 90))


def discs(*centres: tuple[int, int], radius: int, size: tuple[int, int]) -> BoolArray:
    y, x = np.mgrid[: size[0], : size[1]]
    masks = [(y - cy) ** 2 + (x - cx) ** 2 <= radius**2 for cy, cx in centres]
    return np.asarray(np.any(masks, axis=0), dtype=np.bool_)


def two_classes(inside: BoolArray) -> FloatArray:
    return np.stack([~inside, inside]).astype(np.float32)


def by_cells(probabilities: FloatArray) -> FloatArray:
    count, height, width = probabilities.shape
    cells = probabilities.reshape(count, height // 8, 8, width // 8, 8).mean((2, 4))[1:]
    return np.asarray(cells, dtype=np.float32)


@pytest.fixture(scope="module")
def shipped() -> MaskLocalizer:
    return MaskLocalizer.load(CPU)


def test_the_shipped_head_tells_touching_discs_apart(shipped: MaskLocalizer) -> None:
    # Two people side by side, say: one component, whose neck is all that tells.
    pair = discs((120, 100), (120, 180), radius=42, size=(240, 320))
    found = HoughProposer(shipped).propose(np.zeros((240, 320, 3), np.uint8), two_classes(pair)[1])
    assert len(found) == 2
    centres = sorted((box[0] + box[2]) / 2 for box in found.boxes)
    np.testing.assert_allclose(centres, [100, 180], atol=12)
    without = HoughProposer(HeadLocalizer(None, None)).propose(
        np.zeros((240, 320, 3), np.uint8), two_classes(pair)[1]
    )
    assert len(without) == 1


@pytest.mark.parametrize("scale", [1, 3])
def test_one_disc_stays_whole_whatever_the_size_of_the_frame(
    shipped: MaskLocalizer, scale: int
) -> None:
    size = (160 * scale, 240 * scale)
    probabilities = two_classes(discs((80 * scale, 120 * scale), radius=50 * scale, size=size))
    cells = by_cells(probabilities)
    boxes = shipped.boxes(torch.zeros(1, 3, *size), cells, probabilities)
    inside = cells[0] > 0.5
    expected = component_boxes(cells[0], 8)
    np.testing.assert_array_equal(boxes[0][:, inside], expected[:, inside])


def test_the_image_is_not_looked_at_and_all_classes_are(shipped: MaskLocalizer) -> None:
    left = discs((60, 60), radius=30, size=(128, 192))
    right = discs((60, 110), radius=30, size=(128, 192)) & ~left
    three = np.stack([~(left | right), left, right]).astype(np.float32)
    asked = by_cells(three)[:1]
    boxes = shipped.boxes(torch.zeros(1, 3, 128, 192), asked, three)
    np.testing.assert_array_equal(boxes, shipped.boxes(torch.rand(1, 3, 128, 192), asked, three))
    assert boxes.shape == (1, 4, 16, 24)
    same = np.stack([~(left | right), left | right, np.zeros_like(left)]).astype(np.float32)
    seen: list[Tensor] = []

    class Seeing(nn.Module):
        def __init__(self, backbone: nn.Module) -> None:
            super().__init__()
            self.backbone = backbone

        def forward(self, x: Tensor) -> list[Tensor]:
            seen.append(x)
            levels: list[Tensor] = self.backbone(x)
            return levels

    network = load_displacement_net(shipped_weights("displacement"))
    network.backbone = Seeing(network.backbone)
    watched = MaskLocalizer(network, shipped._head)
    watched.boxes(torch.zeros(1, 3, 128, 192), asked, three)
    watched.boxes(torch.zeros(1, 3, 128, 192), asked, same)
    assert not torch.equal(seen[0], seen[1])
    # The longer side is that of the training, whatever the frame's.
    assert seen[0].shape[-2:] == (208, 320)


def test_items_know_the_box_of_every_object() -> None:
    items = draw_items([DrawnMaps(30, 64)], SCENES, 12, seed=3)
    assert len(items) == 12
    for item in items:
        assert item.labels.shape == (64, 64)
        assert item.ids.shape == (8, 8)
        for number in np.unique(item.ids[item.ids > 0]):
            boxes = item.boxes[:, item.ids == number]
            assert (boxes == boxes[:, :1]).all()  # one box per object
            x0, y0, x1, y1 = boxes[:, 0]
            rows, columns = np.nonzero(item.ids == number)
            assert x0 <= columns.min() * 8 + 4 < x1
            assert columns.max() * 8 + 4 < x1 <= 64
            assert y0 <= rows.min() * 8 + 4 < y1
        for label, objects in item.classes:
            cells = item.labels[4::8, 4::8] == label
            assert len(np.unique(item.ids[cells & (item.ids > 0)])) == objects


def test_boxes_are_those_of_the_visible_pixels() -> None:
    items = draw_items([DrawnMaps(30, 64)], SceneConfig(64, (64, 64), pieces=0, outline=1.0), 6)
    item = next(i for i in items if len(i.classes) == 1 and i.classes[0][1] == 1)
    x0, y0, x1, y1 = item.boxes[:, item.ids > 0][:, 0]
    rows, columns = np.nonzero((item.labels > 0) & (item.labels < 255))
    # The label map shows the object less its void outline of 1 to 3 pixels.
    assert 0 <= columns.min() - x0 <= 3
    assert 0 <= x1 - 1 - columns.max() <= 3
    assert 0 <= rows.min() - y0 <= 3
    assert 0 <= y1 - 1 - rows.max() <= 3


def test_masks_without_objects_are_refused() -> None:
    class Empty:
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> UInt8Array:
            return np.zeros((64, 64), np.uint8)

    with pytest.raises(InputError, match="0 of 101 scenes contain an object"):
        draw_items([Empty()], SCENES, 50)
    with pytest.raises(InputError, match="label map"):
        draw_items([], SCENES, 5)


@pytest.mark.parametrize(
    "wrong", [{"batch": 0}, {"several": 1.5}, {"learning_rate": 0.0}, {"size_exponent": -1}]
)
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        MaskRecipe(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="objects=True"):
        MaskRecipe(scenes=SceneConfig(objects=False))


def test_a_batch_is_of_masks_with_several_objects_mostly_and_the_head_learns() -> None:
    torch.manual_seed(0)
    network = DisplacementNet().eval()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    head = LocalizerHead(LocalizerConfig((64, 96), 16, (1,), 16, (1, 2)))
    items = draw_items([DrawnMaps(40, 64)], SCENES, 30)
    options = MaskRecipe(batch=12, several=1.0, bootstrapping=None)
    training = MaskTraining(head, network, items, options)
    batch = training.draw(torch.Generator().manual_seed(1), 1)
    again = training.draw(torch.Generator().manual_seed(1), 1)
    assert all(torch.equal(batch[k], again[k]) for k in batch)
    counted = [
        len(torch.unique(b[:, v], dim=1).T)
        for b, v in zip(batch["boxes"], batch["valid"], strict=True)
    ]
    assert min(counted) >= 2
    # The mask is that of one class: the share of each cell that it covers.
    first = batch["labels"][0]
    shares = [
        (first == label).float().view(8, 8, 8, 8).mean((1, 3)) for label in torch.unique(first)
    ]
    assert any(torch.allclose(batch["mask"][0], share, atol=1e-5) for share in shares)

    # An untrained head answers with the components, which the loss measures against the truth.
    fine, coarse = label_map_features(network, batch["labels"])
    plain = head(fine, coarse, batch["mask"], batch["components"])
    rough = decode_boxes(batch["components"], batch["centres"])
    torch.testing.assert_close(decode_boxes(plain, batch["centres"]), rough, atol=1e-2, rtol=0)
    optimizer = torch.optim.AdamW(training.parameter_groups())
    losses = []
    for _ in range(25):
        loss = training.losses(batch)["localization"]
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.6 * losses[0]
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_what_is_unknown_is_not_learnt_from() -> None:
    ids = np.array([[1, -1], [1, 0]])
    boxes = np.where(ids == 1, np.array([0, 0, 8, 16], np.float32)[:, None, None], np.float32(0))
    item = MaskItem(np.ones((16, 16), np.uint8), ids, boxes.astype(np.float32), ((1, 1),))
    head = LocalizerHead(LocalizerConfig((64, 96), 16, (1,), 16, (1,)))
    training = MaskTraining(head, DisplacementNet(), [item], MaskRecipe(batch=2))
    batch = training.draw(torch.Generator().manual_seed(0), 1)
    np.testing.assert_array_equal(batch["valid"].numpy(), [[[True, False], [True, False]]] * 2)
    np.testing.assert_array_equal(batch["mask"].numpy(), np.ones((2, 2, 2)))


def test_the_command_trains_a_head_that_the_proposer_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    source = DrawnMaps(12, 96, seed=5)
    folder = tmp_path / "masks"
    folder.mkdir()
    for index in range(12):
        Image.fromarray(source[index]).save(folder / f"{index:02d}.png")
    command = ["train", "mask-localizer", "--masks", str(folder), "--exclude", "0*"]
    rest = ["--output", str(tmp_path / "run"), "--pool", "4", "--batch", "2", "--device", "cpu"]
    assert main([*command, *rest, "--steps", "2"]) == 0
    file = tmp_path / "run" / "localizer.safetensors"
    assert f"trained on 4 scenes: {file}" in capsys.readouterr().out
    network = load_displacement_net(shipped_weights("displacement"))
    assert localizer_fingerprint(file) == label_map_fingerprint(network)
    localizer = build_hough(HoughOptions(localizer=str(file)), ProposerSources()).localizer
    assert isinstance(localizer, MaskLocalizer)
    state = load_localizer(file).state_dict()
    assert all(torch.equal(v, state[k]) for k, v in localizer._head.state_dict().items())
    assert main([*command, *rest, "--steps", "0"]) == 2
    assert "steps" in capsys.readouterr().err
    assert main([*command, "*", *rest, "--steps", "2"]) == 2
    assert "apart from excluded" in capsys.readouterr().err


def test_what_the_option_names(tmp_path: Path) -> None:
    default = build_hough(HoughOptions(), ProposerSources()).localizer
    assert isinstance(default, MaskLocalizer)
    none = build_hough(HoughOptions(localizer="none"), ProposerSources()).localizer
    assert isinstance(none, HeadLocalizer)
    assert none.backbone is None
    with pytest.raises(InputError, match=r"nothing\.safetensors"):
        build_hough(
            HoughOptions(localizer=str(tmp_path / "nothing.safetensors")), ProposerSources()
        )


def test_a_head_of_another_trunk_is_refused(tmp_path: Path) -> None:
    head = LocalizerHead(LocalizerConfig((64, 96)))
    save_localizer(head, tmp_path / "other.safetensors", backbone="label-map-0123456789abcdef")
    with pytest.raises(InputError, match="label-map-0123456789abcdef, the package has label-map-"):
        MaskLocalizer.load(CPU, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="agreement"):
        MaskLocalizer(DisplacementNet(), head, agreement=1.5)


def test_without_a_mask_the_package_tells_the_foreground(shipped: MaskLocalizer) -> None:
    frame = np.random.default_rng(0).integers(0, 255, (64, 96, 3)).astype(np.uint8)
    image = torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255
    expected = HeadLocalizer(None, None).foreground(image)
    np.testing.assert_array_equal(shipped.foreground(image), expected)
    given = HoughProposer(shipped).propose(frame, expected)
    alone = HoughProposer(shipped).propose(frame, None)
    np.testing.assert_array_equal(given.masks, alone.masks)
