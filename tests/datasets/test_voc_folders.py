"""VOC and SBD folders: what is found, and what is refused."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from vostrack.datasets.labelled_images import Layout, open_labelled_images
from vostrack.datasets.voc import VocSample, open_voc
from vostrack.errors import InputError
from vostrack.masks import write_label_map

CLASSES = np.array([[0, 5, 5], [0, 5, 255]], np.uint8)
INSTANCES = np.array([[0, 1, 2], [0, 1, 255]], np.uint8)


@pytest.fixture(params=["voc", "sbd", "sbd below dataset"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder of one image, ``a``."""
    if request.param == "voc":
        base, images = tmp_path, tmp_path / "JPEGImages"
        write_label_map(base / "SegmentationClass" / "a.png", CLASSES)
        write_label_map(base / "SegmentationObject" / "a.png", INSTANCES)
        listing = base / "ImageSets" / "Segmentation" / "train.txt"
        listing.parent.mkdir(parents=True)
    else:
        base = tmp_path / "dataset" if "below" in request.param else tmp_path
        images = base / "img"
        for folder, field, mask in (("cls", "GTcls", CLASSES), ("inst", "GTinst", INSTANCES)):
            (base / folder).mkdir(parents=True)
            savemat(base / folder / "a.mat", {field: {"Segmentation": mask}})
        listing = base / "train.txt"
    images.mkdir()
    Image.fromarray(np.full((2, 3, 3), 77, np.uint8)).save(images / "a.jpg")
    listing.write_text("a\n")
    return tmp_path


def test_image_and_masks_are_read(root: Path) -> None:
    (image,) = open_voc(root)
    sample = image.read()
    assert image.name == "a"
    assert sample.frame.shape == (2, 3, 3)
    np.testing.assert_array_equal(sample.classes, CLASSES)
    np.testing.assert_array_equal(sample.instances, INSTANCES)
    assert sample.labels().tolist() == [5, 5]


def test_an_instance_has_the_class_of_most_of_its_pixels() -> None:
    classes = np.array([[3, 3, 8, 255, 0]], np.uint8)
    instances = np.array([[1, 1, 1, 3, 255]], np.uint8)
    sample = VocSample(np.zeros((1, 5, 3), np.uint8), classes, instances)
    assert sample.labels().tolist() == [3, 0, 0]


def test_missing_parts_are_named(root: Path) -> None:
    with pytest.raises(InputError, match=r"no .*val.txt; expected"):
        open_voc(root, "val")
    listing = next(root.rglob("train.txt"))
    listing.write_text("a\nb\n")
    with pytest.raises(InputError, match=r"lists b, but there is no .*b.jpg"):
        open_voc(root)
    listing.write_text("")
    with pytest.raises(InputError, match="lists no image"):
        open_voc(root)
    with pytest.raises(InputError, match="no JPEGImages, SegmentationClass"):
        open_voc(root / "nowhere")


def test_masks_of_another_size_and_damaged_files_are_refused(root: Path) -> None:
    (image,) = open_voc(root)
    assert image.instances is not None
    known = image.instances.read_bytes()
    image.instances.write_bytes(b"MATLAB, no")
    for read in (image.read, lambda: open_voc(root)):  # and not after hours of a training
        with pytest.raises(InputError, match="cannot be read"):
            read()
    image.instances.write_bytes(known)
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(image.image)
    for read in (image.read, lambda: open_voc(root)):
        with pytest.raises(InputError, match=r"expected a mask of 4 x 4 .* got 2 x 3"):
            read()


def test_masks_of_classes_are_enough_where_no_instances_are_needed(root: Path) -> None:
    layout: Layout = "voc" if (root / "JPEGImages").is_dir() else "sbd"
    folders = [path for name in ("SegmentationObject", "inst") for path in root.rglob(name)]
    assert open_labelled_images(layout, root, "train").instance_classes == 20
    for folder in folders:
        shutil.rmtree(folder)
    with pytest.raises(InputError, match=r"SegmentationObject|inst"):
        open_voc(root)
    if layout == "voc":
        images = open_labelled_images(layout, root, "train")
        assert images.instance_classes == 0
        assert images[0].ids is None
        np.testing.assert_array_equal(images[0].classes.numpy(), CLASSES)


def test_the_instances_are_compared_with_the_image_before_a_training(root: Path) -> None:
    (image,) = open_voc(root)
    assert image.instances is not None
    if image.instances.suffix == ".mat":
        savemat(image.instances, {"GTinst": {"Segmentation": INSTANCES[:, :2]}})
    else:
        write_label_map(image.instances, INSTANCES[:, :2])
    with pytest.raises(InputError, match=r"expected a mask of 2 x 3 .* got 2 x 2"):
        open_voc(root)


@pytest.mark.parametrize("part", ["image", "classes"])
def test_a_file_that_is_cut_off_is_found_before_a_training(part: str, root: Path) -> None:
    (image,) = open_voc(root)
    path: Path = getattr(image, part)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=re.escape(path.name)):
        open_voc(root)


def test_values_that_are_no_classes_are_found_before_a_training(root: Path) -> None:
    (image,) = open_voc(root)
    wrong = np.where(CLASSES == 5, 77, CLASSES)
    if image.classes.suffix == ".mat":
        savemat(image.classes, {"GTcls": {"Segmentation": wrong}})
    else:
        write_label_map(image.classes, wrong)
    expected = rf"{image.classes.name}: expected classes 0\.\.20 or 255 for void, got 77; renumber"
    for read in (image.read, lambda: open_voc(root)):
        with pytest.raises(InputError, match=expected):
            read()


def test_a_folder_of_the_other_release_is_refused(root: Path) -> None:
    voc = (root / "JPEGImages").is_dir()
    with pytest.raises(InputError, match=r"layout: .* use `layout='(voc|sbd)'`"):
        open_labelled_images("sbd" if voc else "voc", root, "train")
    assert len(open_labelled_images("voc" if voc else "sbd", root, "train")) == 1


def test_names_of_images_may_hold_spaces_and_lists_of_one_class_a_number(root: Path) -> None:
    for path in root.rglob("a.*"):
        shutil.copy(path, path.with_name(f"a 2 [x]{path.suffix}"))
        shutil.copy(path, path.with_name(f"scan 1{path.suffix}"))
    next(root.rglob("train.txt")).write_text("a  1\na 2 [x] -1\nscan 1\n")
    assert [image.name for image in open_voc(root)] == ["a", "a 2 [x]", "scan 1"]
