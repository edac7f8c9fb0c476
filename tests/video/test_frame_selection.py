"""Start, end and stride against slicing, and reading a range against iteration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.video import FrameSource, open_source

COUNT = 14
KINDS = ["video", "decord", "opencv", "folder", "pattern", "files", "array", "generator", "lazy"]


def _arrays() -> UInt8Array:
    numbers = np.arange(COUNT, dtype=np.uint8)[:, None, None, None]
    return np.broadcast_to(numbers * 10, (COUNT, 16, 24, 3)).copy()


class _Lazy:
    """An iterable that is no sequence and no iterator."""

    def __iter__(self) -> Iterator[UInt8Array]:
        return iter(_arrays())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frames")
    for number, image in enumerate(_arrays()):
        Image.fromarray(image).save(folder / f"f{number}.png")
    return folder


@pytest.fixture
def open_kind(
    folder: Path, tmp_path: Path, make_clip: Callable[..., Path]
) -> Callable[..., FrameSource]:
    def open_it(kind: str, **selection: int | None) -> FrameSource:
        sources = {
            "folder": folder,
            "pattern": f"{folder}/*.png",
            "files": [folder / f"f{number}.png" for number in range(COUNT)],
            "array": _arrays(),
            "generator": (image for image in _arrays()),
            "lazy": _Lazy(),
        }
        if kind in sources:
            return open_source(sources[kind], **selection)  # type: ignore[arg-type]  # by name
        path = tmp_path / "clip.mp4"
        if not path.exists():
            make_clip(path, COUNT, options={"g": "5", "bf": "2"})
        reader = "pyav" if kind == "video" else kind
        return open_source(path, reader=reader, **selection)  # type: ignore[arg-type]  # by name

    return open_it


SLICES = [(0, None, 1), (3, None, 1), (0, 5, 1), (2, 12, 3), (13, None, 4), (1, 99, 2), (0, 1, 9)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("start", "end", "stride"), SLICES)
def test_selection_is_a_slice(
    kind: str, start: int, end: int | None, stride: int, open_kind: Callable[..., FrameSource]
) -> None:
    whole = list(open_kind(kind))
    with open_kind(kind, start=start, end=end, stride=stride) as source:
        frames = list(source)
    expected = whole[start:end:stride]
    assert [frame.index for frame in frames] == list(range(COUNT))[start:end:stride]
    assert [frame.time for frame in frames] == [frame.time for frame in expected]
    for one, other in zip(frames, expected, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
    if kind in ("generator", "lazy"):
        assert source.length is None
        assert source.indices is None
    else:
        assert source.length == len(frames)
        assert source.indices == range(COUNT)[start:end:stride]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("generator", "lazy")])
def test_read_is_a_part_of_iteration(kind: str, open_kind: Callable[..., FrameSource]) -> None:
    random = np.random.default_rng(1)
    source = open_kind(kind, start=2, end=13, stride=2)
    frames = list(source)
    for _ in range(12):
        first, last = (int(number) for number in random.integers(0, COUNT + 2, 2))
        again = list(source.read(first, last))
        expected = [frame for frame in frames if first <= frame.index <= last]
        assert [(f.index, f.time) for f in again] == [(f.index, f.time) for f in expected]
        for one, other in zip(again, expected, strict=True):
            np.testing.assert_array_equal(one.image, other.image)


@given(
    count=st.integers(1, 30),
    start=st.integers(0, 30),
    width=st.integers(1, 40),
    stride=st.integers(1, 9),
    first=st.integers(0, 35),
    last=st.integers(0, 35),
)
def test_read_by_any_numbers(
    count: int, start: int, width: int, stride: int, first: int, last: int
) -> None:
    start %= count
    frames = np.zeros((count, 2, 2, 3), np.uint8)
    source = open_source(frames, start=start, end=start + width, stride=stride)
    chosen = list(range(count))[start : start + width : stride]
    got = [frame.index for frame in source.read(first, last)]
    assert got == [number for number in chosen if first <= number <= last]


def test_iterables_can_be_gone_through_again_unless_they_are_iterators() -> None:
    lazy = open_source(_Lazy())
    assert len(list(lazy)) == len(list(lazy)) == COUNT
    generator = open_source(image for image in _arrays())
    assert len(list(generator)) == COUNT
    with pytest.raises(InputError, match="already read"):
        list(generator)
    with pytest.raises(InputError, match="only once"):
        generator.read(0, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_start_beyond_the_end(kind: str, open_kind: Callable[..., FrameSource]) -> None:
    with pytest.raises(InputError, match=r"start: .* has 14 frames, 0 to 13, got 14"):
        list(open_kind(kind, start=COUNT))


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        ({"start": -1}, "start: expected .* got -1"),
        ({"stride": 0}, "stride: expected .* got 0"),
        ({"stride": -2}, "stride: expected .* got -2"),
        ({"start": 5, "end": 5}, "end: expected .* above the start 5, got 5"),
        ({"end": 0}, "end: expected .* got 0"),
    ],
)
def test_bad_selection(selection: dict[str, int], words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_source(_arrays(), **selection)  # type: ignore[arg-type]  # by name


def test_the_end_stops_a_generator_before_it_makes_more() -> None:
    made = []

    def frames() -> Iterator[UInt8Array]:
        for number in range(100):
            made.append(number)
            yield np.zeros((4, 4, 3), np.uint8)

    assert len(list(open_source(frames(), end=3))) == 3
    assert made == [0, 1, 2]
