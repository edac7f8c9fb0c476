"""Training clips of single photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator

from vostrack.datasets.composites.matted_photos import clean_photos, is_held_out, scan_matted_photos
from vostrack.errors import InputError
from vostrack.online_finetune.target.photo_clips import PhotoClipConfig, PhotoClips
from vostrack.training.samples import PhotoSamples

RED, GRAY = (200, 40, 40), (90, 90, 90)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Red discs on gray ground, half of them at the edge, and a matte that is soft everywhere."""
    root = tmp_path_factory.mktemp("photos")
    rows, columns = np.mgrid[:96, :128]
    for part in ("JPEGImages", "Mattes"):
        (root / part).mkdir()
    for number in range(12):
        x = (30, 118)[number % 2]
        alpha = np.where((rows - 48) ** 2 + (columns - x) ** 2 < 22**2, 255, 0).astype(np.uint8)
        if number == 11:
            alpha[:] = 128
        image = np.where((alpha > 0)[..., None], RED, GRAY).astype(np.uint8)
        Image.fromarray(image).save(root / "JPEGImages" / f"p{number:02d}.png")
        Image.fromarray(alpha).save(root / "Mattes" / f"p{number:02d}.png")
    return root


def test_the_mask_moves_with_the_picture(folder: Path) -> None:
    clips = PhotoClips(clean_photos(folder), PhotoClipConfig())
    moved = 0
    for seed in range(8):
        clip = clips.draw(Generator().manual_seed(seed), 4)
        assert clip["images"].shape == (4, 3, *clip["labels"].shape[1:])
        red = clip["images"][:, 0].float() - clip["images"][:, 1].float() > 40
        inside = clip["labels"] == 1
        assert inside[0].float().mean() > 0.02
        assert (red == inside).float().mean() > 0.98
        moved += int(sum((inside[0] != later).float().mean() > 0.01 for later in inside[1:]))
    assert moved > 16  # of 24 later frames


def test_the_object_is_whole_in_the_first_frame(folder: Path) -> None:
    still = PhotoClipConfig(rotation=0, zoom=0, shift=0, shear=0, bend=0)
    disc = [photo for photo in clean_photos(folder) if photo.box[2] < 60]
    for seed in range(8):
        labels = PhotoClips(disc, still).draw(Generator().manual_seed(seed), 2)["labels"]
        assert labels[0].equal(labels[1])
        rows, columns = labels[0].nonzero(as_tuple=True)
        height, width = (int(axis.max() - axis.min() + 1) for axis in (rows, columns))
        assert abs(height - width) <= 2  # a disc that is not cut off


def test_clips_are_replayable_and_vary(folder: Path) -> None:
    clips = PhotoClips(clean_photos(folder), PhotoClipConfig())
    one, again, other = (clips.draw(Generator().manual_seed(s), 3) for s in (3, 3, 4))
    assert one["images"].equal(again["images"])
    assert one["labels"].equal(again["labels"])
    assert not one["images"].equal(other["images"])


def test_failed_mattes_and_what_is_held_out_are_not_trained_on(folder: Path) -> None:
    names = {photo.name for photo in clean_photos(folder)}
    every = {photo.name for photo in scan_matted_photos(folder)}
    assert names == {name for name in every if not is_held_out(name)} - {"p11"}
    assert len(names) < 11


def test_photographs_are_samples_of_the_foreground(folder: Path) -> None:
    samples = PhotoSamples(clean_photos(folder))
    image, labels = samples[0]
    assert image.shape == (3, *labels.shape)
    assert (image.dtype, labels.dtype) == (torch.uint8, torch.int64)
    assert torch.equal(labels == 1, image[0] > 150)


def test_without_photographs_there_is_nothing_to_draw() -> None:
    with pytest.raises(InputError, match="at least one photograph"):
        PhotoClips([], PhotoClipConfig())
    with pytest.raises(InputError, match="bend"):
        PhotoClipConfig(bend=-1)
