"""An image with its mask: what is listed, what is read, what does not fit together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vostrack.datasets import VideoSequence
from vostrack.datasets.annotated_frames import (
    annotated_frames,
    check_objects,
    image_tensor,
    merge_objects,
    read_annotated_frame,
    read_annotation,
    training_frames,
)
from vostrack.datasets.read_on_demand import ReadOnDemand
from vostrack.datasets.video_sequence import Semantics
from vostrack.errors import InputError
from vostrack.masks.palette import write_label_map

VALUES = np.array([[0, 1, 7], [255, 7, 0]], np.uint8)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    pixels = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    Image.fromarray(pixels).save(tmp_path / "00000.png")
    return tmp_path / "00000.png"


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    write_label_map(tmp_path / "mask.png", VALUES)
    return tmp_path / "mask.png"


@pytest.mark.parametrize(
    ("semantics", "expected"),
    [("ids", VALUES.tolist()), ("binary", [[0, 1, 1], [1, 1, 0]])],
)
def test_void_is_void_only_where_values_are_ids(
    mask: Path, semantics: Semantics, expected: list[list[int]]
) -> None:
    labels = read_annotation(mask, semantics)
    assert labels.dtype == np.uint8
    assert labels.tolist() == expected


def test_a_frame_is_read_with_its_mask(image: Path, mask: Path) -> None:
    frame = read_annotated_frame(image, mask)
    assert frame.image.tolist() == np.arange(18).reshape(2, 3, 3).tolist()
    assert frame.labels.tolist() == VALUES.tolist()
    pixels, labels = frame.tensors()
    assert pixels.dtype == torch.uint8
    assert pixels.is_contiguous()
    assert pixels[:, 0, 1].tolist() == [3, 4, 5]
    assert labels.dtype == torch.int64
    pixels[:] = 9
    assert frame.image.max() == 17  # a copy


def test_only_frames_with_a_mask_are_listed(image: Path, mask: Path) -> None:
    def video(
        name: str, annotations: tuple[Path | None, ...], semantics: Semantics
    ) -> VideoSequence:
        return VideoSequence(name, (image,) * len(annotations), annotations, (), semantics, "test")

    listed = annotated_frames([video("a", (mask, None), "ids"), video("b", (mask,), "binary")])
    assert [files.semantics for files in listed] == ["ids", "binary"]
    assert [files.read().labels.max() for files in listed] == [255, 1]
    assert listed[1].read_labels().tolist() == listed[1].read().labels.tolist()
    assert annotated_frames([video("c", (None,), "ids")]) == ()


def test_merging_keeps_background_and_void() -> None:
    assert merge_objects(VALUES).tolist() == [[0, 1, 1], [255, 1, 0]]


def test_one_pixel_and_read_only_images_become_tensors() -> None:
    pixel = np.full((1, 1, 3), 5, np.uint8)
    pixel.setflags(write=False)
    image_tensor(pixel).add_(1)
    assert pixel.max() == 5


def test_sizes_that_differ_are_refused(image: Path, tmp_path: Path) -> None:
    write_label_map(tmp_path / "other.png", np.zeros((3, 2), np.uint8))
    with pytest.raises(InputError, match=r"expected a mask of 2 x 3 .*, got 3 x 2"):
        read_annotated_frame(image, tmp_path / "other.png")


class Squares(ReadOnDemand[int]):
    """Counts what is read."""

    def __init__(self) -> None:
        self.reads: list[int] = []

    def __len__(self) -> int:
        return 4

    def read(self, index: int) -> int:
        self.reads.append(index)
        return index**2


def test_items_are_read_when_they_are_needed() -> None:
    squares = Squares()
    assert (squares[1], squares[-1], squares[1:3]) == (1, 9, [1, 4])
    assert squares.reads == [1, 3, 1, 2]
    with pytest.raises(IndexError):
        squares[4]
    assert list(squares) == [0, 1, 4, 9]


def test_no_more_masks_are_read_than_it_takes_to_find_an_object() -> None:
    maps = iter([np.zeros((2, 3), np.uint8), VALUES, VALUES])
    check_objects(maps, "set")
    assert len(list(maps)) == 1


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((0, 255), "masks of set hold no value but 0 and 255, which is void, .*; do this"),
        ((255, 255), "masks of set hold no value but 0 and 255, which is void, .*; do this"),
        ((0, 0), "no object in any mask of set; expected ids or classes from 1 on, got 0"),
    ],
)
def test_masks_without_an_object_are_refused(values: tuple[int, int], said: str) -> None:
    maps = [np.full((2, 3), value, np.uint8) for value in values]
    with pytest.raises(InputError, match=rf"^training: .*{said}"):
        check_objects(maps, "set", "; do this")


def test_frames_to_train_on_show_an_object(image: Path, tmp_path: Path) -> None:
    write_label_map(tmp_path / "void.png", np.array([[0, 255, 255], [0, 0, 0]], np.uint8))

    def video(annotation: Path | None, semantics: Semantics, source: str) -> VideoSequence:
        return VideoSequence("a", (image,), (annotation,), (), semantics, source)

    void = tmp_path / "void.png"
    assert len(training_frames([video(void, "binary", "DAVIS 2016 train 480p")])) == 1
    with pytest.raises(InputError, match=r"DAVIS 2017 train 480p hold .*; use `year=2016` if"):
        training_frames([video(void, "ids", "DAVIS 2017 train 480p")])
    with pytest.raises(InputError, match=r"MOSE train hold .*; expected ids or classes from 1 on$"):
        training_frames([video(void, "ids", "MOSE train")])
    for nothing in ([], [video(None, "ids", "MOSE train")]):
        with pytest.raises(InputError, match="expected at least one annotated frame, got none"):
            training_frames(nothing)


@pytest.mark.parametrize("damage", ["size", "end"])
def test_every_frame_is_checked_before_a_training(damage: str, image: Path, tmp_path: Path) -> None:
    """The first frame shows an object, so that nothing else would read the second one."""
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    write_label_map(good, VALUES)
    write_label_map(bad, VALUES[:1] if damage == "size" else VALUES)
    if damage == "end":
        bad.write_bytes(bad.read_bytes()[:500])
    later = image.with_name("00001.png")
    later.write_bytes(image.read_bytes())
    video = VideoSequence("a", (image, later), (good, bad), ((0, good),), "ids", "MOSE train")
    with pytest.raises(InputError, match=r"bad\.png: "):
        training_frames([video])


def test_a_photograph_that_is_stored_turned_fits_its_mask(tmp_path: Path) -> None:
    turned, mask = tmp_path / "00000.jpg", tmp_path / "mask.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((3, 2, 3), np.uint8)).save(turned, exif=exif)
    write_label_map(mask, VALUES)
    video = VideoSequence("a", (turned,), (mask,), ((0, mask),), "ids", "MOSE train")
    assert len(training_frames([video])) == 1


def test_a_mask_of_the_stored_size_does_not_fit_a_turned_photograph(tmp_path: Path) -> None:
    """It would else be found in the midst of a training."""
    turned, mask = tmp_path / "00000.jpg", tmp_path / "mask.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(turned, exif=exif)
    write_label_map(mask, VALUES)
    video = VideoSequence("a", (turned,), (mask,), ((0, mask),), "ids", "MOSE train")
    with pytest.raises(InputError, match=r"expected a mask of 3 x 2 pixels .* got 2 x 3"):
        training_frames([video])
