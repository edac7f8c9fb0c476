"""The recipes: what they draw, that a step learns, that pools and scenes are reproducible."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from vostrack.datasets import open_davis
from vostrack.datasets.labelled_images import LabelledImage, LabelledImages
from vostrack.errors import InputError
from vostrack.masks.palette import write_label_map
from vostrack.models.fcrn import FcrnConfig, build_fcrn
from vostrack.models.foreground import NetworkConfig, build_network
from vostrack.models.localizer import LocalizerConfig, LocalizerHead
from vostrack.proposers.hough_voting.bootstrapping import Bootstrapping
from vostrack.proposers.hough_voting.boxes import decode_boxes
from vostrack.proposers.hough_voting.fcrn_recipe import (
    FcrnRecipe,
    LocalizationTraining,
    SemanticTraining,
    class_transforms,
)
from vostrack.proposers.hough_voting.feature_pool import FeaturePool, build_pool
from vostrack.proposers.hough_voting.head_recipe import HeadRecipe, HeadTraining, disturb_mask
from vostrack.proposers.hough_voting.scenes import Mixture, PastedScenes, SyntheticScenes
from vostrack.training.loop import LoopConfig, train


def two_objects() -> LabelledImage:
    ids = torch.zeros(96, 128, dtype=torch.long)
    ids[20:60, 10:50], ids[30:80, 60:120], ids[0] = 1, 2, 255
    labels = torch.zeros(256, dtype=torch.long)
    labels[1], labels[2] = 2, 1
    classes = torch.where(ids == 255, 255, labels[ids])
    image = (classes.clamp(max=2) * 100).to(torch.uint8).expand(3, 96, 128).contiguous()
    return LabelledImage(image, classes, ids, labels)


IMAGES = LabelledImages(("one",), 3, 2, lambda _: two_objects())
RECIPE = FcrnRecipe(batch=3, side=64, learning_rate=1e-3, bootstrapping=Bootstrapping(40))


def test_localisation_batches_agree_with_the_crops_they_come_from() -> None:
    network = build_fcrn(FcrnConfig(50, 16, 3, 1), 8, "none")
    training = LocalizationTraining(network, IMAGES, RECIPE)
    batch = training.draw(torch.Generator().manual_seed(0), 0)
    again = training.draw(torch.Generator().manual_seed(0), 7)
    assert all(torch.equal(batch[k], again[k]) for k in batch)
    assert batch["image"].shape == (3, 3, 64, 64)
    assert set(batch["labels"].flatten().tolist()) == {0, 1, 2}
    for image, boxes, labels in zip(batch["image"], batch["boxes"], batch["labels"], strict=True):
        # The gray of an image is its class: the box must hold just the pixels of that gray.
        for label in (1, 2):
            cells = (labels == label).nonzero()
            if not len(cells):
                continue
            x0, y0, x1, y1 = boxes[:, cells[0, 0], cells[0, 1]].round().int().tolist()
            gray = (image[0] * 2.55 - label).abs() < 0.02
            outside = gray.clone()
            outside[max(y0 - 1, 0) : y1 + 1, max(x0 - 1, 0) : x1 + 1] = False
            assert gray[y0:y1, x0:x1].float().mean() > 0.9
            assert not outside.any()


def test_both_fcrns_learn(tmp_path: Path) -> None:
    for kind, outputs in ((SemanticTraining, 3), (LocalizationTraining, 8)):
        network = build_fcrn(FcrnConfig(50, 16, 3, 1), outputs, "none")
        for module in network.modules():  # ReLUs of random weights without statistics explode
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.data.fill_(0.3)
        losses: list[float] = []
        recipe = FcrnRecipe(batch=1, side=64, learning_rate=2e-3, bootstrapping=Bootstrapping(20))
        train(
            network,
            kind(network, IMAGES, recipe),
            LoopConfig(6, optimizer="sgd", schedule="poly", clip_norm=5.0, precision="fp32"),
            tmp_path / str(outputs),
            on_step=lambda _, loss, losses=losses: losses.append(loss),  # type: ignore[misc]
        )
        assert np.mean(losses[-2:]) < np.mean(losses[:2])


def test_biases_learn_at_twice_the_rate_without_decay() -> None:
    training = SemanticTraining(build_fcrn(FcrnConfig(50), 3, "none"), IMAGES, RECIPE)
    weights, biases = training.parameter_groups()
    assert biases["lr"] == 2 * weights["lr"]
    assert biases["weight_decay"] == 0
    count = len(weights["params"]) + len(biases["params"])
    assert count == len(list(training.network.parameters()))


def test_images_without_instances_teach_no_boxes() -> None:
    with pytest.raises(InputError, match="instances"):
        LocalizationTraining(
            build_fcrn(FcrnConfig(50), 8, "none"), LabelledImages((), 3, 0, lambda _: two_objects())
        )


def test_each_pixel_learns_in_the_channels_of_its_class() -> None:
    prediction = torch.arange(8.0).view(1, 8, 1, 1).expand(1, 8, 1, 3)
    labels = torch.tensor([[[0, 1, 2]]])
    chosen = class_transforms(prediction, labels)
    assert chosen[0, :, 0, 1].tolist() == [0, 1, 2, 3]
    assert chosen[0, :, 0, 2].tolist() == [4, 5, 6, 7]


def write_davis(root: Path) -> Path:
    for name, value in (("one", 200), ("two", 90)):
        for folder in ("JPEGImages", "Annotations"):
            (root / folder / "480p" / name).mkdir(parents=True)
        mask = np.zeros((60, 80), np.uint8)
        mask[20:45, 25:60] = 1
        frame = np.stack([np.where(mask, value, 30).astype(np.uint8)] * 3, axis=-1)
        Image.fromarray(frame).save(root / "JPEGImages" / "480p" / name / "00000.jpg", quality=95)
        write_label_map(root / "Annotations" / "480p" / name / "00000.png", mask)
    (root / "ImageSets" / "2017").mkdir(parents=True)
    (root / "ImageSets" / "2017" / "train.txt").write_text("one\ntwo\n")
    return root


def test_pasted_objects_are_where_their_ids_say(tmp_path: Path) -> None:
    source = PastedScenes(open_davis(write_davis(tmp_path), subset="train"), 128)
    most = 0
    for seed in range(12):
        image, ids = source.draw(np.random.default_rng(seed))
        same, same_ids = source.draw(np.random.default_rng(seed))
        assert np.array_equal(image, same)
        assert np.array_equal(ids, same_ids)
        assert image.shape == (128, 128, 3)
        present = np.setdiff1d(np.unique(ids), [0, 255])
        assert present.tolist() == list(range(1, len(present) + 1))
        most = max(most, len(present))
        inside = (ids > 0) & (ids < 255)
        # The objects are brighter than 60, all else is at 30 but for their mirrored halves.
        core = cv2.erode(inside.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=1) > 0
        assert (image[core].mean(axis=-1) > 60).mean() > 0.97
    assert most >= 3


def test_synthetic_scenes_have_several_instances() -> None:
    _, ids = SyntheticScenes(96).draw(np.random.default_rng(0))
    assert len(np.unique(ids)) > 2


def test_disturbed_masks_stay_masks() -> None:
    mask = np.zeros((20, 20), np.float32)
    mask[5:15, 5:15] = 1
    for seed in range(30):
        rng = np.random.default_rng(seed)
        changed = disturb_mask(mask, rng)
        assert changed.dtype == np.float32
        assert 0 <= changed.min() <= changed.max() <= 1
    assert mask.sum() == 100


def test_pools_of_one_folder_do_not_replace_one_another(tmp_path: Path) -> None:
    network = build_network(NetworkConfig("resnet18", (4, 8, 16), "topdown", 8, "folded")).eval()
    source = Mixture((SyntheticScenes(64, seeds=4),), (1.0,))
    done: list[int] = []

    def draw(count: int, key: str, seed: int = 0) -> FeaturePool:
        done.clear()
        return build_pool(
            network, source, count, tmp_path, key=key, seed=seed, on_scene=done.append
        )

    pools = ((2, "one", 0), (1, "one", 0), (1, "one", 1), (1, "other", 0))
    first = [draw(*pool) for pool in pools]
    for pool, before in zip(pools, first, strict=True):
        assert torch.equal(draw(*pool).fine, before.fine)
        assert not done
    # An earlier version kept one pool, of which it is read but not replaced.
    (path,) = (p for p in tmp_path.rglob("*.pt") if "000002" in p.name)
    path.rename(tmp_path / "000000.pt")
    assert torch.equal(draw(2, "one").fine, first[0].fine)
    assert not done
    draw(2, "other")
    assert len(done) == 2
    assert torch.equal(draw(2, "one").fine, first[0].fine)
    assert not done


def test_the_head_learns_to_split_what_touches(tmp_path: Path) -> None:
    network = build_network(NetworkConfig("resnet18", (4, 8, 16), "topdown", 8, "folded")).eval()
    source = Mixture((SyntheticScenes(96, seeds=4),), (1.0,))
    done: list[int] = []
    pool = build_pool(network, source, 6, tmp_path / "pool", key="k", on_scene=done.append)
    assert done == [1, 2, 3, 4, 5, 6]
    kept = build_pool(network, source, 6, tmp_path / "pool", key="k", on_scene=done.append)
    assert done == [1, 2, 3, 4, 5, 6]
    assert torch.equal(kept.fine, pool.fine)
    (path,) = (tmp_path / "pool").rglob("*.pt")
    whole = path.read_bytes()
    for damaged in (whole[:1000], whole[:-500], b"hello", b""):
        path.write_bytes(damaged)
        done.clear()
        drawn = build_pool(network, source, 6, tmp_path / "pool", key="k", on_scene=done.append)
        assert len(done) == 6
        assert torch.equal(drawn.fine, pool.fine)
    head = LocalizerHead(LocalizerConfig(width=16, dilations=(1, 2)))
    training = HeadTraining(head, pool, HeadRecipe(batch=4, learning_rate=5e-3))
    batch = training.draw(torch.Generator().manual_seed(1), 0)
    again = training.draw(torch.Generator().manual_seed(1), 5)
    assert all(torch.equal(batch[k], again[k]) for k in batch)
    true = batch["boxes"].permute(0, 2, 3, 1)[batch["valid"]]
    assert (true[:, 2:] > true[:, :2]).all()
    before = training.losses(batch)["localization"].item()
    rough = decode_boxes(batch["components"], batch["centres"])
    untrained = head(batch["fine"], batch["coarse"], batch["mask"], batch["components"])
    torch.testing.assert_close(decode_boxes(untrained, batch["centres"]), rough)
    train(head, training, LoopConfig(40, weight_decay=0.0, precision="fp32"), tmp_path / "run")
    with torch.no_grad():
        assert training.losses(batch)["localization"].item() < 0.6 * before
