"""Masks of several frames: the same colour, label, value or file is the same object."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.masks import FirstMask, read_first_mask
from vostrack.masks.same_objects import with_same_ids

SIZE = (40, 90)
# Where the objects are: three boxes side by side.
PLACES = {name: slice(4 + 30 * k, 24 + 30 * k) for k, name in enumerate("abc")}
COLOURS = {"a": (250, 20, 20), "b": (20, 250, 20), "c": (20, 20, 250)}


def drawn(values: Mapping[str, Any], dtype: type = np.uint8) -> Any:
    channels = np.shape(next(iter(values.values())))
    picture = np.zeros((*SIZE, *channels), dtype)
    for name, value in values.items():
        picture[10:30, PLACES[name]] = value
    return picture


def coloured(folder: Path, name: str, objects: str) -> Path:
    path = folder / f"{name}.png"
    Image.fromarray(drawn({o: COLOURS[o] for o in objects})).save(path)
    return path


def outline(name: str) -> list[list[int]]:
    left, right = PLACES[name].start, PLACES[name].stop - 1
    return [[left, 10], [right, 10], [right, 29], [left, 29]]


def labelme(folder: Path, name: str, objects: str, group: int | None = None) -> Path:
    path = folder / f"{name}.json"
    shapes = [
        {"label": o, "points": outline(o), "group_id": group, "shape_type": "polygon"}
        for o in objects
    ]
    content = {"imagePath": "x.png", "imageHeight": SIZE[0], "imageWidth": SIZE[1]}
    path.write_text(json.dumps({**content, "shapes": shapes}))
    return path


def coco(folder: Path, name: str, objects: str, first: int) -> Path:
    path = folder / f"{name}.json"
    annotations = [
        {
            "id": first + k,
            "image_id": 1,
            "category_id": ord(o),
            "segmentation": [np.ravel(outline(o)).tolist()],
            "iscrowd": 0,
        }
        for k, o in enumerate(objects)
    ]
    images = [{"id": 1, "file_name": "x.png", "height": SIZE[0], "width": SIZE[1]}]
    categories = [{"id": ord(o), "name": o} for o in "abc"]
    path.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    return path


def values(folder: Path, name: str, given: Mapping[str, int]) -> Path:
    path = folder / f"{name}.png"
    Image.fromarray(drawn(given, np.uint16 if max(given.values()) > 255 else np.uint8)).save(path)
    return path


def where(mask: FirstMask) -> dict[str, int]:
    """Return the id at the place of each object."""
    here = {o: int(mask.labels[20, place.start + 10]) for o, place in PLACES.items()}
    return {o: number for o, number in here.items() if number}


def matched(
    given: Mapping[int, Path | Sequence[Path]],
) -> tuple[list[dict[str, int]], tuple[str, ...]]:
    masks, notes = with_same_ids({k: read_first_mask(path) for k, path in given.items()})
    for mask in masks.values():
        assert mask.ids == tuple(sorted(set(np.unique(mask.labels).tolist()) - {0, 255}))
        assert len(mask.names) == len(mask.ids)
    again, silent = with_same_ids(masks)
    assert [where(mask) for mask in again.values()] == [where(mask) for mask in masks.values()]
    assert not silent
    return [where(mask) for mask in masks.values()], notes


def test_the_same_colour_is_the_same_object(tmp_path: Path) -> None:
    first, later = coloured(tmp_path, "p", "ab"), coloured(tmp_path, "q", "a")
    # Alone, the only colour is object 1.
    assert where(read_first_mask(first)) == {"a": 2, "b": 1}
    assert where(read_first_mask(later)) == {"a": 1}
    found, notes = matched({0: first, 5: later})
    assert found == [{"a": 2, "b": 1}, {"a": 2}]
    assert notes == ("mask of frame 5: #fa1414 is object 2",)


def test_a_new_colour_is_a_new_object(tmp_path: Path) -> None:
    masks = {7: coloured(tmp_path, "r", "ac"), 0: coloured(tmp_path, "p", "a")}
    found, notes = matched({**masks, 3: coloured(tmp_path, "q", "b")})
    assert found == [{"a": 1}, {"b": 2}, {"a": 1, "c": 3}]
    assert notes[0] == "mask of frame 3: #14fa14 is the new object 2"


def test_labels_are_matched_whatever_the_numbers_of_annotations(tmp_path: Path) -> None:
    assert matched({0: labelme(tmp_path, "p", "ab"), 5: labelme(tmp_path, "q", "b")})[0] == [
        {"a": 1, "b": 2},
        {"b": 2},
    ]
    found, _ = matched({0: coco(tmp_path, "p", "ab", 1), 5: coco(tmp_path, "q", "cb", 1)})
    assert found == [{"a": 1, "b": 2}, {"b": 2, "c": 3}]
    # One tool for the first frame, and another for a later one.
    found, _ = matched({0: labelme(tmp_path, "p", "ab"), 5: coco(tmp_path, "q", "b", 1)})
    assert found == [{"a": 1, "b": 2}, {"b": 2}]


def test_objects_of_one_label_are_matched_in_their_order(tmp_path: Path) -> None:
    first = json.loads(labelme(tmp_path, "p", "ab").read_text())
    for shape in first["shapes"]:
        shape["label"] = "person"
    path = tmp_path / "r.json"
    path.write_text(json.dumps(first))
    assert matched({0: path, 5: path})[0] == [{"a": 1, "b": 2}] * 2


def test_large_and_spread_values_are_matched(tmp_path: Path) -> None:
    first = values(tmp_path, "p", {"a": 1000, "b": 2000})
    assert matched({0: first, 5: values(tmp_path, "q", {"b": 2000})})[0] == [
        {"a": 1, "b": 2},
        {"b": 2},
    ]
    spread, white = values(tmp_path, "p", {"a": 127, "b": 255}), values(tmp_path, "q", {"b": 255})
    assert matched({0: spread, 5: white})[0] == [{"a": 1, "b": 2}, {"b": 2}]


def test_ids_of_the_source_stay(tmp_path: Path) -> None:
    first, later = values(tmp_path, "p0", {"a": 3, "b": 1}), values(tmp_path, "p5", {"a": 2})
    assert matched({0: first, 5: later}) == ([{"a": 3, "b": 1}, {"a": 2}], ())
    # A colour gets an id that no other mask states.
    found, _ = matched({0: first, 2: coloured(tmp_path, "q", "c"), 5: later})
    assert found == [{"a": 3, "b": 1}, {"c": 4}, {"a": 2}]


@pytest.mark.parametrize(
    ("first", "later", "wanted"),
    [
        (("car", "bike"), ("bike",), {"b": 2}),
        (("car_00", "bike_00"), ("bike_05",), {"b": 2}),
        (("x1", "x2"), ("x2",), {"b": 2}),
        (("one",), ("other",), {"b": 1}),
        (("00000",), ("00005",), {"b": 1}),
    ],
)
def test_files_of_one_name_are_one_object(
    first: Sequence[str], later: Sequence[str], wanted: dict[str, int], tmp_path: Path
) -> None:
    def written(names: Sequence[str], objects: str) -> list[Path]:
        (tmp_path / objects).mkdir()
        return [
            values(tmp_path / objects, name, {o: 255})
            for name, o in zip(names, objects, strict=False)
        ]

    found, notes = matched({0: written(first, "ab"), 5: written(later, "b")})
    assert found[1] == wanted
    assert len(notes) == 1
    assert ("states no object" in notes[0]) == (wanted == {"b": 1})


def test_two_objects_with_one_id_are_refused() -> None:
    labels: UInt8Array = drawn({"a": 1, "b": 2})
    first = FirstMask(labels, (1, 2), ("x", "y"), known_by="names")
    later = FirstMask(labels, (1, 2), ("y", "z"), known_by="names")
    masks, _ = with_same_ids({0: first, 1: later})
    assert where(masks[1]) == {"a": 2, "b": 3}
    tracks = FirstMask(
        labels, (1, 2), ("x", "x"), known_by="names", identities=(("1 x", "2 x"), ("q", "q"))
    )
    assert where(with_same_ids({0: first, 1: tracks})[0][1]) == {"a": 1, "b": 3}
    twice = FirstMask(labels, (1, 2), ("y", "z"), known_by="names", identities=(("x", "w"),))
    with pytest.raises(InputError, match=r"frame 1 \(x, y\) would both be object 1"):
        with_same_ids({0: twice, 1: first})
    full = FirstMask(
        np.repeat(np.arange(1, 255, dtype=np.uint8), 4).reshape(8, -1),
        tuple(range(1, 255)),
        tuple(map(str, range(1, 255))),
    )
    with pytest.raises(InputError, match="more than 254 objects"):
        with_same_ids({0: full, 1: FirstMask(labels, (1, 2), ("p", "q"), known_by="names")})


def test_the_soft_edge_goes_with_the_object() -> None:
    labels: UInt8Array = drawn({"a": 1, "b": 2})
    alpha = np.stack([labels == 1, labels == 2]).astype(np.float32)
    first = FirstMask(labels, (1, 2), ("y", "x"), known_by="names")
    later = FirstMask(labels, (1, 2), ("x", "y"), alpha=alpha, known_by="names")
    found = with_same_ids({0: first, 1: later})[0][1]
    assert found.names == ("y", "x")
    assert found.alpha is not None
    np.testing.assert_array_equal(found.alpha, alpha[::-1])
