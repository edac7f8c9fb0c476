"""Where the pictures of a training come from: VOC, DAVIS and made clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vostrack.datasets import open_davis
from vostrack.datasets.synthetic import render_clip
from vostrack.datasets.synthetic_scene import SyntheticScene
from vostrack.errors import InputError
from vostrack.refine.spn.labelled_images import (
    DavisPictures,
    Picture,
    SyntheticPictures,
    VocPictures,
)

Paint = Callable[..., Picture]


def test_voc_pictures_are_those_of_the_list(voc: Path, picture: Paint) -> None:
    pictures = VocPictures(voc)
    assert len(pictures) == 2
    first, second = pictures[:2]
    expected = picture(3, 15)
    assert torch.equal(first.labels, expected.labels)
    assert (first.image.float() - expected.image.float()).abs().mean() < 9  # JPEG
    assert sorted(set(second.labels.flatten().tolist())) == [0, 20, 255]
    assert first.classes
    with pytest.raises(IndexError):
        pictures[2]
    (voc / "JPEGImages" / "2011_003271.jpg").unlink()
    with pytest.raises(InputError, match=r"1 files missing, first .*2011_003271\.jpg"):
        VocPictures(voc)
    with pytest.raises(InputError, match=r"no list .*val\.txt"):
        VocPictures(voc, "val")
    (voc / "ImageSets/Segmentation/val.txt").write_text("\n")
    with pytest.raises(InputError, match="no names"):
        VocPictures(voc, "val")
    mask = voc / "SegmentationClass" / "2007_000032.png"
    Image.open(mask).convert("RGB").save(mask)
    with pytest.raises(InputError, match="one channel, got mode RGB"):
        pictures[0]


@pytest.mark.parametrize(("year", "expected"), [(2016, [0, 1]), (2017, [0, 2, 5, 255])])
def test_davis_pictures_keep_ids_and_void(
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
    pictures = DavisPictures(open_davis(tmp_path, year=year, subset="train"))
    assert len(pictures) == 2
    assert sorted(set(pictures[1].labels.flatten().tolist())) == expected
    assert not pictures[1].classes
    with pytest.raises(InputError, match="annotated frame"):
        DavisPictures([])


def test_synthetic_pictures_are_frames_of_clips() -> None:
    pictures = SyntheticPictures(3, seed=7, frames=2, size=(64, 80), objects=2)
    assert len(pictures) == 6
    frames, labels = render_clip(SyntheticScene(size=(64, 80), frames=2, objects=2, seed=8))
    for k in (1, 0):
        image, mask, classes = pictures[2 + k]
        np.testing.assert_array_equal(image.permute(1, 2, 0), frames[k])
        np.testing.assert_array_equal(mask, labels[k])
        assert not classes
    with pytest.raises(InputError, match="at least 1 scene"):
        SyntheticPictures(0)
