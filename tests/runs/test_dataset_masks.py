"""The first masks of data sets: ids are kept, and what is guessed is said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vostrack.arrays import UInt8Array
from vostrack.batch import Job, JobResult
from vostrack.errors import InputError
from vostrack.masks import write_label_map
from vostrack.runs.sequence import track_sequence

SIZE = (24, 32)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[dict[int, UInt8Array]]:
    """What the tracker is given; nothing is tracked."""
    found: list[dict[int, UInt8Array]] = []

    def track_video(
        _tracker: object, _source: object, masks: dict[int, UInt8Array]
    ) -> Iterator[Any]:
        found.append(masks)
        return iter(())

    monkeypatch.setattr("vostrack.runs.sequence.track_video", track_video)
    monkeypatch.setattr("vostrack.runs.sequence.build_tracker", lambda *_, **__: None)
    return found


def blocks(*values: int, ground: int = 0) -> Any:
    """Return a block of each value, 10 pixels high and wide, on a ground."""
    labels = np.full(SIZE, ground, np.uint16)
    for place, value in enumerate(values):
        labels[2:12, 10 * place : 10 * place + 10] = value
    return labels


def run(folder: Path, mask: Path, **options: Any) -> JobResult:
    frame = folder / "00000.jpg"
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(frame)
    settings = {"preset": "fast", "device": "cpu", "weights": None}
    return track_sequence(
        Job("swan", (frame,), mask, str(folder / "out"), options=settings, **options)
    )


@pytest.mark.parametrize(
    "labels",
    [blocks(1, ground=2), blocks(128, 255), blocks(85, 170, 255), blocks(16, ground=235)],
    ids=["no background", "half and void", "spread", "video range"],
)
@pytest.mark.parametrize("form", ["palette", "gray"])
def test_ids_are_kept(
    labels: Any, form: str, given: list[dict[int, UInt8Array]], tmp_path: Path
) -> None:
    path = tmp_path / "m.png"
    if form == "palette":
        write_label_map(path, labels)
    else:
        Image.fromarray(labels.astype(np.uint8)).save(path)
    run(tmp_path, path)
    assert np.array_equal(given[0][0], labels)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (blocks(1, 300), r"m\.png: expected ids in 0\.\.255, got 300"),
        (np.zeros((*SIZE, 3), np.uint8), r"m\.png: expected a palette or gray PNG .*mode RGB"),
        (np.zeros(SIZE, np.uint8), r"m\.png: the mask is empty"),
        (np.full((4, 4), 3, np.uint8), r"m\.png: the mask is 4x4 pixels"),
    ],
    ids=["above 254", "colours", "empty", "size"],
)
def test_masks_that_hold_no_ids_are_refused(
    image: Any, words: str, given: list[dict[int, UInt8Array]], tmp_path: Path
) -> None:
    Image.fromarray(image).save(tmp_path / "m.png")
    with pytest.raises(InputError, match=words):
        run(tmp_path, tmp_path / "m.png")
    assert given == []


def test_black_and_white(given: list[dict[int, UInt8Array]], tmp_path: Path) -> None:
    path = tmp_path / "m.png"
    write_label_map(path, blocks(255))
    warnings = run(tmp_path, path).warnings
    assert len(warnings) == 1
    assert "255 is read as object 1; give `year=2016`" in warnings[0]
    assert run(tmp_path, path, semantics="binary").warnings == ()
    for masks in given:
        assert np.array_equal(masks[0], blocks(255) // 255)
    with pytest.raises(InputError, match="the mask is empty"):  # the metadata name an object
        run(tmp_path, path, starts=((1, 0),))


def test_what_a_first_mask_lets_doubt_is_said(
    given: list[dict[int, UInt8Array]], tmp_path: Path
) -> None:
    labels = blocks(1)
    labels[20, 20] = 2
    write_label_map(tmp_path / "m.png", labels)
    (warning,) = run(tmp_path, tmp_path / "m.png").warnings
    assert "object 2 has 1 pixel," in warning
    assert given[0][0].max() == 2


def test_no_object_of_the_metadata(given: list[dict[int, UInt8Array]], tmp_path: Path) -> None:
    write_label_map(tmp_path / "m.png", blocks(128))
    with pytest.raises(InputError, match=r"expected the ids 1, 2 of the metadata .*got 128 in"):
        run(tmp_path, tmp_path / "m.png", starts=((1, 0), (2, 0)))
    assert given == []
