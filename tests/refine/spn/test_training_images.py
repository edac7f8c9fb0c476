"""Where the images of a training come from: VOC, DAVIS, photographs and synthetic clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vostrack.cli.train_spn import TrainSpnCommand
from vostrack.datasets import open_davis
from vostrack.datasets.synthetic import render_clip
from vostrack.datasets.synthetic_scene import SyntheticScene
from vostrack.errors import InputError
from vostrack.masks.palette import write_label_map
from vostrack.refine.spn.training_images import (
    DavisImages,
    SyntheticImages,
    TrainingImage,
    VocImages,
)

Paint = Callable[..., TrainingImage]


def test_voc_images_are_those_of_the_list(voc: Path, picture: Paint) -> None:
    images = VocImages(voc)
    assert len(images) == 2
    first, second = images[:2]
    expected = picture(3, 15)
    assert torch.equal(first.labels, expected.labels)
    assert (first.image.float() - expected.image.float()).abs().mean() < 9  # JPEG
    assert sorted(set(second.labels.flatten().tolist())) == [0, 20, 255]
    assert first.classes
    with pytest.raises(IndexError):
        images[2]
    (voc / "JPEGImages" / "2011_003271.jpg").unlink()
    with pytest.raises(InputError, match=r"1 file missing, first .*2011_003271\.jpg"):
        VocImages(voc)
    with pytest.raises(InputError, match=r"no list .*val\.txt"):
        VocImages(voc, "val")
    (voc / "ImageSets/Segmentation/val.txt").write_text("\n")
    with pytest.raises(InputError, match="no names"):
        VocImages(voc, "val")
    mask = voc / "SegmentationClass" / "2007_000032.png"
    Image.open(mask).convert("RGB").save(mask)
    with pytest.raises(InputError, match="got an image with mode RGB"):
        images[0]


def test_voc_images_are_checked_before_a_training(voc: Path) -> None:
    """The second mask, which nothing else would read."""
    mask = voc / "SegmentationClass" / "2011_003271.png"
    values = np.array(Image.open(mask))
    for wrong, message in ((values[:5], "expected a mask of"), (values | 64, r"classes 0\.\.20")):
        write_label_map(mask, wrong)
        with pytest.raises(InputError, match=message):
            VocImages(voc)


def test_photographs_have_their_share(voc: Path, tmp_path: Path) -> None:
    for part in ("JPEGImages", "Mattes"):
        (tmp_path / "photos" / part).mkdir(parents=True)
        for name in "bcd":  # "a" would be held out
            image = np.zeros((40, 50, 3)[: 3 if part == "JPEGImages" else 2], np.uint8)
            image[8:24, 8:24] = 255
            Image.fromarray(image).save(tmp_path / "photos" / part / f"{name}.png")
    given: dict[str, Any] = {"output": tmp_path, "photos": tmp_path / "photos", "photo_share": 0.4}
    command = TrainSpnCommand(**given, voc=voc, synthetic=1, synthetic_share=0.5)
    sources = command._open_sources()
    assert [round(weight, 6) for weight, _ in sources] == [0.3, 0.2, 0.5]
    photos = sources[1][1]
    assert len(photos) == 3
    assert not photos[0].classes
    expected = torch.zeros(40, 50, dtype=torch.long)
    expected[8:24, 8:24] = 1
    assert torch.equal(photos[0].labels, expected)
    assert torch.equal(photos[0].image, 255 * expected.expand(3, -1, -1))
    assert [weight for weight, _ in TrainSpnCommand(**given)._open_sources()] == [1]


@pytest.mark.parametrize(("year", "expected"), [(2016, [0, 1]), (2017, [0, 2, 5, 255])])
def test_davis_images_keep_ids_and_void(
    tmp_path: Path, year: int, expected: list[int], picture: Paint
) -> None:
    image, mask, _ = picture(2, 5)
    if year == 2016:
        mask = (mask > 0).long() * 255
    for kind, suffix, array in (
        ("JPEGImages", "jpg", image.permute(1, 2, 0)),
        ("Annotations", "png", mask.byte()),
    ):
        folder = tmp_path / kind / "480p" / "goat"
        folder.mkdir(parents=True)
        for frame in ("00000", "00001"):
            Image.fromarray(array.numpy()).save(folder / f"{frame}.{suffix}")
    (tmp_path / "ImageSets" / str(year)).mkdir(parents=True)
    (tmp_path / "ImageSets" / str(year) / "train.txt").write_text("goat\n")
    images = DavisImages(open_davis(tmp_path, year=year, subset="train"))
    assert len(images) == 2
    assert sorted(set(images[1].labels.flatten().tolist())) == expected
    assert not images[1].classes
    with pytest.raises(InputError, match="annotated frame"):
        DavisImages([])


def test_synthetic_images_are_frames_of_clips() -> None:
    images = SyntheticImages(3, seed=7, frames=2, size=(64, 80), objects=2)
    assert len(images) == 6
    frames, labels = render_clip(SyntheticScene(size=(64, 80), frames=2, objects=2, seed=8))
    for k in (1, 0):
        image, mask, classes = images[2 + k]
        np.testing.assert_array_equal(image.permute(1, 2, 0), frames[k])
        np.testing.assert_array_equal(mask, labels[k])
        assert not classes
    with pytest.raises(InputError, match="at least 1 scene"):
        SyntheticImages(0)
