"""The layouts of labelled images, each as a small copy on the disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from vostrack.datasets.labelled_images import open_labelled_images
from vostrack.errors import InputError
from vostrack.masks.palette import write_label_map

IDS = np.zeros((12, 16), np.uint8)
IDS[2:8, 1:6], IDS[4:10, 8:14], IDS[0, :] = 1, 2, 255
CLASSES = np.where(IDS == 255, 255, np.array([0, 15, 7, *[0] * 253], np.uint8)[IDS])


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((12, 16, 3), 90, np.uint8)).save(path)


def write_list(path: Path, text: str = "one\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write_labels(path: Path, labels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_label_map(path, labels)


def test_voc(tmp_path: Path) -> None:
    write_image(tmp_path / "JPEGImages" / "one.jpg")
    write_labels(tmp_path / "SegmentationClass" / "one.png", CLASSES)
    write_labels(tmp_path / "SegmentationObject" / "one.png", IDS)
    write_list(tmp_path / "ImageSets" / "Segmentation" / "train.txt")
    images = open_labelled_images("voc", tmp_path, "train")
    image = images[0]
    assert (len(images), images.classes, images.instance_classes) == (1, 21, 20)
    assert image.image.shape == (3, 12, 16)
    assert image.image.dtype == torch.uint8
    assert image.ids is not None
    np.testing.assert_array_equal(image.ids, IDS)
    np.testing.assert_array_equal(image.classes, CLASSES)
    assert image.labels[:4].tolist() == [0, 15, 7, 0]
    assert image.labels[255] == 0


def test_sbd(tmp_path: Path) -> None:
    write_image(tmp_path / "img" / "one.jpg")
    write_list(tmp_path / "train.txt")
    for folder, name, labels in (("cls", "GTcls", CLASSES), ("inst", "GTinst", IDS)):
        (tmp_path / folder).mkdir()
        savemat(tmp_path / folder / "one.mat", {name: {"Segmentation": labels}})
    image = open_labelled_images("sbd", tmp_path, "train")[0]
    assert image.ids is not None
    np.testing.assert_array_equal(image.ids, IDS)
    assert image.labels[:3].tolist() == [0, 15, 7]
    (tmp_path / "inst" / "one.mat").write_bytes(b"damaged")
    with pytest.raises(InputError, match="GTinst"):
        open_labelled_images("sbd", tmp_path, "train")[0]
    (tmp_path / "inst" / "one.mat").unlink()
    with pytest.raises(InputError, match=r"no .*one\.mat"):
        open_labelled_images("sbd", tmp_path, "train")


def write_cityscapes(root: Path) -> tuple[Path, Path]:
    """Write one image and its masks of labels and of instances; return the masks."""
    write_image(root / "leftImg8bit" / "train" / "ulm" / "ulm_1_leftImg8bit.png")
    truth = root / "gtFine" / "train" / "ulm"
    kinds, instances = (truth / f"ulm_1_gtFine_{kind}Ids.png" for kind in ("label", "instance"))
    labels = np.array([7, 26, 24, *[4] * 253], np.uint8)[IDS]  # road, car, person, static
    write_labels(kinds, labels)
    numbers = np.where(IDS == 1, 26001, np.where(IDS == 2, 24000, 4)).astype(np.uint16)
    Image.fromarray(numbers).save(instances)
    return kinds, instances


@pytest.mark.parametrize("wrong", [0, 1])
def test_cityscapes_masks_of_another_size_are_refused(wrong: int, tmp_path: Path) -> None:
    path = write_cityscapes(tmp_path)[wrong]
    Image.fromarray(np.array(Image.open(path))[:6]).save(path)
    expected = rf"{path.name}: expected a mask of 12 x 16 .* got 6 x 16"
    with pytest.raises(InputError, match=expected):
        open_labelled_images("cityscapes", tmp_path, "train")


def test_cityscapes_without_a_class_that_is_scored_is_refused(tmp_path: Path) -> None:
    kinds, _ = write_cityscapes(tmp_path)
    write_labels(kinds, np.full_like(IDS, 4))
    with pytest.raises(InputError, match=r"no mask in .* shows one of the 19 classes"):
        open_labelled_images("cityscapes", tmp_path, "train")


def test_cityscapes_instances_in_colours_are_refused(tmp_path: Path) -> None:
    _, instances = write_cityscapes(tmp_path)
    Image.fromarray(np.zeros((*IDS.shape, 3), np.uint8)).save(instances)
    with pytest.raises(InputError, match=r"gray PNG of 16 bits .* got an image with mode RGB"):
        open_labelled_images("cityscapes", tmp_path, "train")


def test_cityscapes(tmp_path: Path) -> None:
    write_cityscapes(tmp_path)
    images = open_labelled_images("cityscapes", tmp_path, "train")
    image = images[0]
    assert images.names == ("ulm/ulm_1",)
    assert images.classes == 19
    expected = np.where(IDS == 1, 13, np.where(IDS == 2, 11, np.where(IDS == 255, 255, 0)))
    np.testing.assert_array_equal(image.classes, expected)
    assert image.ids is not None
    # Numbered in the order of their values: 24000 comes before 26001.
    np.testing.assert_array_equal(image.ids, np.array([0, 2, 1, *[0] * 253])[IDS])
    assert image.labels[:3].tolist() == [0, 12, 14]


def test_context_has_no_instances(tmp_path: Path) -> None:
    write_image(tmp_path / "JPEGImages" / "one.jpg")
    write_labels(tmp_path / "SegmentationClassContext" / "one.png", CLASSES)
    write_list(tmp_path / "ImageSets" / "SegmentationContext" / "val.txt")
    images = open_labelled_images("context", tmp_path, "val")
    assert (images.classes, images.instance_classes) == (60, 0)
    assert images[0].ids is None


def test_context_is_checked_before_a_training(tmp_path: Path) -> None:
    image, mask = tmp_path / "JPEGImages/a b.jpg", tmp_path / "SegmentationClassContext/a b.png"
    write_image(image)
    write_list(tmp_path / "ImageSets" / "SegmentationContext" / "val.txt", "a b\n")
    for labels, message in (
        (np.where(CLASSES == 7, 60, CLASSES), r"a b.png: expected classes 0\.\.59 .* got 60"),
        (CLASSES[:5], r"a b.png: expected a mask of 12 x 16 .* got 5 x 16"),
    ):
        write_labels(mask, labels)
        with pytest.raises(InputError, match=message):
            open_labelled_images("context", tmp_path, "val")


def test_davis_masks_of_another_size_are_found_before_a_training(tmp_path: Path) -> None:
    write_image(tmp_path / "JPEGImages" / "480p" / "bear" / "00000.jpg")
    write_labels(tmp_path / "Annotations" / "480p" / "bear" / "00000.png", IDS[:5])
    write_list(tmp_path / "ImageSets" / "2017" / "train.txt", "bear\n")
    with pytest.raises(InputError, match=r"expected a mask of 12 x 16 .* got 5 x 16"):
        open_labelled_images("davis", tmp_path, "train")


def test_davis_is_class_agnostic(tmp_path: Path) -> None:
    write_image(tmp_path / "JPEGImages" / "480p" / "bear" / "00000.jpg")
    write_labels(tmp_path / "Annotations" / "480p" / "bear" / "00000.png", IDS)
    write_list(tmp_path / "ImageSets" / "2017" / "train.txt", "bear\n")
    images = open_labelled_images("davis", tmp_path, "train")
    image = images[0]
    assert (images.classes, images.instance_classes) == (2, 1)
    assert sorted(np.unique(image.classes)) == [0, 1, 255]
    assert image.labels[:3].tolist() == [0, 1, 1]


@pytest.mark.parametrize("layout", ["voc", "sbd", "cityscapes", "context", "davis"])
def test_a_folder_without_the_data_set_is_refused(layout: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=str(tmp_path)):
        open_labelled_images(layout, tmp_path, "train")  # type: ignore[arg-type]
