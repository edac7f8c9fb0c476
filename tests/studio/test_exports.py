"""Exports of a project."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.studio.conftest import write_frames
from tests.studio.small_project import BLUE, FRAMES, HEIGHT, RED, WIDTH, draw, square
from vostrack.errors import InputError
from vostrack.masks import write_label_map
from vostrack.studio.exports import export_choices, export_project
from vostrack.studio.frames import video_facts
from vostrack.studio.project import Project
from vostrack.video import VideoWriter, open_source
from vostrack.video.frames import SeekableSource


@pytest.fixture
def filled(project: Project) -> Project:
    draw(project, 0, square(5) + square(30, number=2))
    for frame in range(1, FRAMES):
        project.track(frame, square(5 + frame) + square(30, number=2), {1: 1.0, 2: 1.0})
    return project


def exported(project: Project, name: str) -> Path:
    source = open_source(project.video.path)
    assert isinstance(source, SeekableSource)
    return export_project(project, source, name).path


@pytest.mark.parametrize("name", [choice.name for choice in export_choices()])
def test_every_choice_makes_a_file_in_the_project(filled: Project, name: str) -> None:
    try:
        path = exported(filled, name)
    except InputError as error:
        assert "pip install" in str(error) or "vostrack[" in str(error)  # noqa: PT017
        pytest.skip(str(error))
    assert path.parent == filled.folder / "exports"
    assert path.stat().st_size > 0


def test_cutouts_for_editors_hold_every_frame(filled: Project) -> None:
    with zipfile.ZipFile(exported(filled, "png-mattes")) as archive:
        assert sum(name.startswith("1/") for name in archive.namelist()) == FRAMES


def test_masks_are_those_of_the_project(filled: Project) -> None:
    with zipfile.ZipFile(exported(filled, "masks")) as archive:
        assert archive.namelist() == [f"{k:05d}.png" for k in range(FRAMES)]
        image = Image.open(io.BytesIO(archive.read("00003.png")))
    assert image.mode == "P"
    np.testing.assert_array_equal(np.asarray(image), filled.labels(3)[0])


def test_cutouts_are_one_picture_per_object(filled: Project) -> None:
    with zipfile.ZipFile(exported(filled, "cutouts")) as archive:
        image = np.asarray(Image.open(io.BytesIO(archive.read("2/00000.png"))))
    np.testing.assert_array_equal(image > 0, square(30, number=2) > 0)


def test_an_ended_object_is_in_no_later_mask(filled: Project) -> None:
    filled.set_objects([RED, replace(BLUE, last=2)], "end Blue")
    with zipfile.ZipFile(exported(filled, "masks")) as archive:
        ids = [
            set(np.unique(np.asarray(Image.open(io.BytesIO(archive.read(name)))))) - {0}
            for name in archive.namelist()
        ]
    assert ids == [*[{1, 2}] * 3, *[{1}] * (FRAMES - 3)]


def test_the_overlay_has_every_frame_and_the_chosen_colours(filled: Project) -> None:
    with open_source(exported(filled, "overlay")) as source:
        frames = [frame.image for frame in source]
    assert len(frames) == FRAMES
    red, green, blue = frames[0][22, 36].astype(int)
    assert blue > red + 20
    assert blue > green + 20


def test_nothing_to_export_is_said(project: Project) -> None:
    with pytest.raises(InputError, match="no frame has a mask yet"):
        exported(project, "masks")
    with pytest.raises(InputError, match="format: expected one of masks, overlay"):
        exported(project, "../masks")


@pytest.fixture
def plates(tmp_path: Path) -> Project:
    """A project of plate.1001.png to plate.1003.png, with a mask of the second."""
    folder = write_frames(tmp_path / "plates", 3)
    for path in sorted(folder.iterdir()):
        path.rename(folder / f"plate.{1001 + int(path.stem)}.png")
    made = Project(tmp_path / "plates.vostrack", video_facts(str(folder)))
    made.set_objects([RED], "add")
    draw(made, 1, square(5))
    return made


def entries(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def coco(path: Path) -> list[dict[str, Any]]:
    images: list[dict[str, Any]] = json.loads(path.read_text())["images"]
    return images


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("masks", ["1002.png"]),
        ("cutouts", ["1/1002.png"]),
        ("png-mattes", ["1/1002.png"]),
        ("labelme", ["plate.1002.json"]),
    ],
)
def test_files_are_called_by_the_frames_of_a_folder(
    plates: Project, name: str, files: list[str]
) -> None:
    assert [entry for entry in entries(exported(plates, name)) if "1002" in entry] == files


def test_an_export_states_the_frames_of_a_folder(plates: Project) -> None:
    (image,) = coco(exported(plates, "coco"))
    assert image["file_name"] == "plate.1002.png"
    assert (image["frame_index"], image["position"], image["time"]) == (1002, 1, 0.04)


@pytest.fixture
def odd_video(tmp_path: Path) -> Callable[..., Project]:
    """Make a project of a video with the given times and shape of pixels."""

    def make(times: list[float], aspect: Fraction) -> Project:
        path = tmp_path / "odd.mp4"
        with VideoWriter(path, 10.0, pixel_aspect=aspect) as writer:
            for number, time in enumerate(times):
                writer.add(np.full((HEIGHT, WIDTH, 3), 20 * number, np.uint8), time)
        made = Project(tmp_path / "odd.vostrack", video_facts(str(path)))
        made.set_objects([RED], "add")
        for number in range(len(times)):
            draw(made, number, square(5))
        return made

    return make


def test_times_of_a_variable_rate_are_those_of_the_video(
    odd_video: Callable[..., Project],
) -> None:
    times = [0.0, 0.1, 0.4, 0.5]
    found = coco(exported(odd_video(times, Fraction(1)), "coco"))
    assert [image["time"] for image in found] == pytest.approx(times)


def test_the_overlay_has_the_shape_of_the_pixels(odd_video: Callable[..., Project]) -> None:
    project = odd_video([0.0, 0.1], Fraction(16, 11))
    with open_source(exported(project, "overlay")) as source:
        assert source.pixel_aspect == Fraction(16, 11)


def test_what_a_format_does_not_keep_is_in_the_answer(client: Any, desk: Any) -> None:
    draw(desk.session().project, 0, square(5))
    answer = client.post("/api/exports/davis").json()
    assert answer["file"] == "davis.zip"
    assert "does not keep the names of objects (Red, Blue)" in answer["notes"][0]
    assert client.post("/api/exports/masks").json()["notes"] == []


def test_the_answer_tells_whether_masks_changed_meanwhile(
    client: Any, desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = desk.session().project
    draw(project, 0, square(5))
    version = client.get("/api/state").json()["version"]
    answer = client.post("/api/exports/masks").json()
    assert (answer["older"], answer["version"]) == (False, version)

    def while_it_is_written(state: Project, *rest: Any) -> Any:
        draw(project, 1, square(6))
        return export_project(state, *rest)

    monkeypatch.setattr("vostrack.studio.session.export_project", while_it_is_written)
    answer = client.post("/api/exports/masks").json()
    assert answer["older"]
    assert answer["version"] > version


def test_frames_that_lack_an_object_are_named(filled: Project) -> None:
    source = open_source(filled.video.path)
    assert isinstance(source, SeekableSource)
    assert export_project(filled, source, "masks").notes == ()
    for frame in (2, 5, 6, 7):
        filled.track(frame, square(30, number=2), {2: 1.0})
    draw(filled, 6, square(9) + square(30, number=2))
    assert export_project(filled, source, "masks").notes == (
        "Red was not tracked in frame 2: go to frame 1 and press Forward",
        "Red was not tracked in frame 5: go to frame 4 and press Forward",
        "Red was not tracked in frame 7: go to frame 6 and press Forward",
    )
    filled.set_objects([replace(RED, last=1), BLUE], "end Red")
    assert export_project(filled, source, "masks").notes == ()


@pytest.mark.parametrize("links", [True, False])
def test_what_changes_meanwhile_is_not_in_an_export(
    session: Any, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    project = session.project
    draw(project, 0, square(5))
    for frame in range(1, FRAMES):
        project.track(frame, square(5 + frame), {1: 1.0})

    def no_link(*_: object) -> None:
        raise PermissionError

    if not links:
        monkeypatch.setattr("os.link", no_link)

    def changing(path: Path, labels: Any) -> None:
        write_label_map(path, labels)
        if RED not in project.objects:
            return
        draw(project, 2, square(40))
        project.track(3, square(41), {1: 1.0})
        project.set_objects([BLUE], "delete Red")

    monkeypatch.setattr("vostrack.studio.exports.write_label_map", changing)
    with zipfile.ZipFile(session.export("masks").path) as archive:
        found = [np.asarray(Image.open(archive.open(name))) for name in archive.namelist()]
    for frame, labels in enumerate(found):
        np.testing.assert_array_equal(labels, square(5 + frame))
    assert project.objects == (BLUE,)
    assert sorted(path.name for path in (project.folder / "exports").iterdir()) == [
        "masks",
        "masks.zip",
    ]


def test_what_a_killed_export_left_is_removed(project: Project) -> None:
    left = project.folder / "exports" / ".state-0a1b2c3d" / "masks"
    left.mkdir(parents=True)
    Project(project.folder, project.video)
    assert not left.parent.exists()


def test_equal_exports_are_made_one_after_the_other(
    session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(session.project, 0, square(5))
    at_once: list[int] = []
    inside = 0

    def slow(labels: Any, path: Path) -> None:
        nonlocal inside
        inside += 1
        time.sleep(0.05)
        at_once.append(inside)
        inside -= 1

    monkeypatch.setattr("vostrack.studio.exports._zip", slow)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(session.export, ["masks"] * 3))
    assert at_once == [1, 1, 1]
