"""Annotations of another size, with shares for pixels, and with labels of background."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vostrack.errors import InputError
from vostrack.masks import FirstMask, encode_rle, read_first_mask, read_results

SIZE = (96, 160)
SQUARE = [100, 55, 130, 55, 130, 85, 100, 85]
OTHER = [20, 20, 50, 20, 50, 50, 20, 50]
WHOLE = [0, 0, 160, 0, 160, 96, 0, 96]


def _coco(path: Path, polygons: list[Any], labels: str = "aa", **image: Any) -> Path:
    names = ["a", "background", " BG "]
    content = {
        "images": [{"id": 1, "file_name": "00000.png", "height": 96, "width": 160, **image}],
        "categories": [{"id": k, "name": name} for k, name in enumerate(names)],
        "annotations": [
            {"id": k, "image_id": 1, "category_id": "abB".index(label), "segmentation": polygon}
            for k, (polygon, label) in enumerate(zip(polygons, labels, strict=True), start=1)
        ],
    }
    path.write_text(json.dumps(content))
    return path


def _read(path: Path) -> FirstMask:
    return read_first_mask(path, size=SIZE)


@pytest.mark.parametrize("polygons", [[[SQUARE], [OTHER]], [[OTHER], [OTHER]]])
@pytest.mark.parametrize(
    ("image", "message"),
    [
        ({"height": 48, "width": 80}, r"images of 80x48 pixels .*the video's 160x96; annotate"),
        ({"height": 160, "width": 96}, r"images of 96x160 .* 160x96; width and height are swapped"),
    ],
)
def test_a_stated_size_of_another_video(
    image: dict[str, Any], message: str, polygons: list[Any], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        _read(_coco(tmp_path / "m.json", polygons, **image))


def test_rle_knows_its_size_itself(tmp_path: Path) -> None:
    box = np.zeros(SIZE, bool)
    box[10:20, 30:50] = True
    mask = _read(_coco(tmp_path / "m.json", [encode_rle(box)], "a", height=48, width=80))
    np.testing.assert_array_equal(mask.labels, box)


def test_shares_for_pixels(tmp_path: Path) -> None:
    shares = [[[v / (160, 96)[k % 2] for k, v in enumerate(p)]] for p in (SQUARE, OTHER, WHOLE)]
    path = _coco(tmp_path / "m.json", shares, "aaa")
    message = "between 0 and 1, as if they were normalised, expected pixels; multiply x by the"
    with pytest.raises(InputError, match=message):
        _read(path)
    with pytest.raises(InputError, match=message):
        read_results(path)


@pytest.mark.parametrize("label", "bB")
@pytest.mark.parametrize("place", [0, 2])
def test_a_category_of_background(place: int, label: str, tmp_path: Path) -> None:
    alone = _read(_coco(tmp_path / "alone.json", [[SQUARE], [OTHER]]))
    polygons, labels = [[SQUARE], [OTHER]], ["a", "a"]
    polygons.insert(place, [WHOLE])
    labels.insert(place, label)
    path = _coco(tmp_path / "m.json", polygons, "".join(labels))
    mask = _read(path)
    assert mask.names == alone.names
    np.testing.assert_array_equal(mask.labels > 0, alone.labels > 0)
    assert [w.partition(": ")[2] for w in mask.warnings] == [
        f"1 annotation labelled {'background' if label == 'b' else 'BG'} is background and no "
        "object"
    ]
    video = read_results(path)
    assert len(video.objects) == 2


def test_nothing_but_background(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="everything is labelled background, expected at least"):
        _read(_coco(tmp_path / "m.json", [[WHOLE], [SQUARE]], "bb"))


def test_background_in_labelme(tmp_path: Path) -> None:
    shapes = [
        {"label": label, "shape_type": "polygon", "points": np.reshape(p, (-1, 2)).tolist()}
        for label, p in (("_background_", WHOLE), ("dog", SQUARE))
    ]
    content = {"shapes": shapes, "imageHeight": 96, "imageWidth": 160, "imagePath": "00000.png"}
    (tmp_path / "m.json").write_text(json.dumps(content))
    mask = _read(tmp_path / "m.json")
    assert mask.names == ("dog",)
