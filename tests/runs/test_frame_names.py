"""Frames keep their names and numbers from the source to every result."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.runs.conftest import FRAMES
from vostrack import ClipRequest, InputError
from vostrack.masks import read_results
from vostrack.runs.clip import track_clip
from vostrack.video import FrameNames

CASES = Path(__file__).parents[1] / "video" / "cases"
PLATE = CASES / "sequence_from_1001"
YOUTUBE = CASES / "youtube_vos_names"

Make = Callable[..., ClipRequest]


def masks(request: ClipRequest) -> list[str]:
    return sorted(path.name for path in (request.output / "masks").iterdir())


def load(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


@pytest.fixture
def renamed(project: Path) -> Callable[[Sequence[str]], Path]:
    """Give the six frames of the project other names."""

    def rename(names: Sequence[str]) -> Path:
        for index, name in enumerate(names):
            (project / "frames" / f"{index:05d}.png").rename(project / "frames" / name)
        return project / "frames"

    return rename


def test_a_plate_keeps_its_numbers_in_every_result(request_for: Make) -> None:
    request = request_for(
        video=str(PLATE / "plate"),
        first_mask=(str(PLATE / "mask.1001.png"),),
        save_mattes=True,
    )
    track_clip(request)
    numbers = list(range(1001, 1009))
    assert masks(request) == [f"{number}.png" for number in numbers]
    assert (request.output / "mattes" / "1" / "1008.png").is_file()
    record = load(request.output / "run.json")
    assert record["frame_names"] == [str(number) for number in numbers]
    assert list(record["objects"][0]["presence"]) == [str(number) for number in numbers]
    images = load(request.output / "masks.json")["images"]
    assert [image["frame_index"] for image in images] == numbers
    assert images[0]["file_name"] == "sh010_plate_v002.1001.jpg"


def test_a_mask_of_frame_1005(request_for: Make) -> None:
    request = request_for(
        video=str(PLATE / "plate"),
        first_mask=(str(PLATE / "mask.1005.png"),),
        first_mask_frame=1005,
    )
    track_clip(request)
    assert masks(request) == [f"{number}.png" for number in range(1001, 1009)]
    counted = replace(request, names="counter", first_mask_frame=4, overwrite=True)
    before = {p.stem: p.read_bytes() for p in (request.output / "masks").iterdir()}
    track_clip(counted)
    after = {p.stem: p.read_bytes() for p in (request.output / "masks").iterdir()}
    assert after == {f"{int(name) - 1001:05d}": data for name, data in before.items()}


@pytest.mark.parametrize(
    ("names", "wanted", "words"),
    [
        ("source", 4, r"frames 1001 to 1008 of .* \(called by the numbers .*\), got 4"),
        ("counter", 1005, r"frames 0 to 7 of .* \(counted from 0\), got 1005"),
    ],
)
def test_the_refusal_says_how_frames_are_counted(
    names: str, wanted: int, words: str, request_for: Make
) -> None:
    request = request_for(
        video=str(PLATE / "plate"),
        first_mask=(str(PLATE / "mask.1005.png"),),
        first_mask_frame=wanted,
        names=names,
    )
    with pytest.raises(InputError, match=words):
        track_clip(request)


def test_youtube_vos_masks_carry_the_names_of_the_frames(request_for: Make) -> None:
    request = request_for(
        video=str(YOUTUBE / "JPEGImages" / "3e2f1a9c04"),
        first_mask=(str(YOUTUBE / "Annotations" / "3e2f1a9c04" / "00000.png"),),
    )
    track_clip(request)
    assert masks(request) == [f"{number:05d}.png" for number in range(0, 40, 5)]


NAMES = {
    "gaps in the numbers": ["f7.png", "f8.png", "f11.png", "f12.png", "f99.png", "f100.png"],
    "words": ["a.png", "b.png", "c d.png", "e.f.png", "ünder.png", "z[1].png"],
    "two numbers": [f"cam{n % 2}_{n}.png" for n in range(10, 16)],
}


@pytest.mark.parametrize("kind", NAMES)
def test_results_are_resumed_and_replaced_under_their_names(
    kind: str, renamed: Callable[..., Path], stopped_after: Make, request_for: Make
) -> None:
    stems = sorted(path.stem for path in renamed(NAMES[kind]).iterdir())
    expected = sorted(stem.removeprefix("f") + ".png" for stem in stems)
    request = stopped_after(3, save_scores=True)
    assert len(masks(request)) == 3
    track_clip(request)
    assert masks(request) == expected
    fresh = request_for("fresh", save_scores=True)
    track_clip(fresh)
    for name in expected:
        for folder in ("masks", "scores/1"):
            one, other = (r.output / folder / name for r in (request, fresh))
            assert one.read_bytes() == other.read_bytes()
    assert load(request.output / "run.json")["status"] == "complete"
    again = replace(request, resume=False, overwrite=True, names="counter", save_scores=False)
    track_clip(again)
    assert masks(again) == [f"{index:05d}.png" for index in range(FRAMES)]
    assert not (again.output / "scores").exists()


def test_a_finished_mask_that_is_gone_is_tracked_again(
    renamed: Callable[..., Path], stopped_after: Make
) -> None:
    renamed(NAMES["words"])
    request = stopped_after(4)
    (request.output / "masks" / "b.png").unlink()
    track_clip(request)
    assert len(masks(request)) == FRAMES


def test_frames_before_zero_come_first(renamed: Callable[..., Path], request_for: Make) -> None:
    names = [f"f{number:+03d}" for number in range(-2, 4)]
    renamed([f"{name}.png" for name in names])
    request = request_for()
    track_clip(request)
    record = load(request.output / "run.json")
    assert record["frame_names"] == names
    read = read_results(request.output)
    assert [(f.name, f.time) for f in read.frames] == list(
        zip(names, record["frame_times"], strict=True)
    )


def test_a_file_of_somebody_else_with_the_name_of_a_frame(
    renamed: Callable[..., Path], request_for: Make, project: Path
) -> None:
    renamed(NAMES["words"])
    (project / "out" / "masks").mkdir(parents=True)
    drawn = project / "out" / "masks" / "c d.png"
    drawn.write_bytes(b"drawn by hand")
    with pytest.raises(InputError, match=r"c d\.png was not written by a run of vostrack"):
        track_clip(request_for(overwrite=True))
    assert drawn.read_bytes() == b"drawn by hand"
    track_clip(request_for(overwrite=True, names="counter"))
    assert drawn.read_bytes() == b"drawn by hand"


def test_a_mask_among_the_frames_is_no_frame(request_for: Make, project: Path) -> None:
    shutil.copy(project / "mask.png", project / "frames" / "00000_mask.png")
    request = request_for(first_mask=(str(project / "frames" / "00000_mask.png"),))
    track_clip(request)
    assert masks(request) == [f"{index:05d}.png" for index in range(FRAMES)]


@pytest.mark.parametrize(
    ("files", "names", "numbers"),
    [
        (["s.1001.exr.png", "s.1002.exr.png"], ("1001", "1002"), (1001, 1002)),
        (["v2_0009.png", "v2_0010.png"], ("0009", "0010"), (9, 10)),
        (["v2_0009.png", "v3_0010.png"], ("v2_0009", "v3_0010"), None),
        (["left.png", "right.png"], ("left", "right"), None),
        (["1.png", "01.png"], ("1", "01"), None),
        (["plate.1001.png"], ("1001",), (1001,)),
        (["photo.png"], ("photo",), None),
        (["a/1.png", "b/1.png"], None, None),
        (["A.png", "a.png"], None, None),
        (["1.png", "1.jpg"], None, None),
    ],
)
def test_names_of_files(
    files: list[str], names: tuple[str, ...] | None, numbers: tuple[int, ...] | None
) -> None:
    found = FrameNames.of_files([Path(file) for file in files])
    assert (found.names, found.numbers) == (names, numbers)
    if names is None:
        assert [found.name(k) for k in range(2)] == ["00000", "00001"]


def test_two_folders_with_the_same_names_are_counted(request_for: Make, project: Path) -> None:
    shutil.copytree(project / "frames", project / "more")
    request = request_for(video=str(project / "*" / "0*.png"))
    track_clip(request)
    assert masks(request) == [f"{index:05d}.png" for index in range(2 * FRAMES)]


@pytest.mark.parametrize("part", [{"start": 3}, {"start": 1, "stride": 2}, {"start": 4, "end": 5}])
def test_a_mask_of_a_frame_that_is_left_out(part: dict[str, int], request_for: Make) -> None:
    request = request_for(
        video=str(PLATE / "plate"), first_mask=(str(PLATE / "mask.1001.png"),), **part
    )
    with pytest.raises(InputError, match="named after frame 1001, which is not among the selected"):
        track_clip(request)
    assert not request.output.exists()
    first = 1001 + part["start"]
    track_clip(replace(request, first_mask_frame=first))
    assert masks(request)[0] == f"{first}.png"
