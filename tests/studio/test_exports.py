"""Exports of a project."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from tests.studio.small_project import FRAMES, draw, square
from vostrack.errors import InputError
from vostrack.studio.exports import export_choices, export_project
from vostrack.studio.project import Project
from vostrack.video import open_source


@pytest.fixture
def filled(project: Project) -> Project:
    draw(project, 0, square(5) + square(30, number=2))
    for frame in range(1, FRAMES):
        project.track(frame, square(5 + frame) + square(30, number=2), {1: 1.0, 2: 1.0})
    return project


@pytest.mark.parametrize("name", [choice.name for choice in export_choices()])
def test_every_choice_makes_a_file_in_the_project(filled: Project, name: str) -> None:
    try:
        path = export_project(filled, name)
    except InputError as error:
        assert "pip install" in str(error) or "vostrack[" in str(error)  # noqa: PT017
        pytest.skip(str(error))
    assert path.parent == filled.folder / "exports"
    assert path.stat().st_size > 0


def test_cutouts_for_editors_hold_every_frame(filled: Project) -> None:
    with zipfile.ZipFile(export_project(filled, "png-mattes")) as archive:
        assert sum(name.startswith("1/") for name in archive.namelist()) == FRAMES


def test_masks_are_those_of_the_project(filled: Project) -> None:
    with zipfile.ZipFile(export_project(filled, "masks")) as archive:
        assert archive.namelist() == [f"{k:05d}.png" for k in range(FRAMES)]
        image = Image.open(io.BytesIO(archive.read("00003.png")))
    assert image.mode == "P"
    np.testing.assert_array_equal(np.asarray(image), filled.labels(3)[0])


def test_cutouts_are_one_picture_per_object(filled: Project) -> None:
    with zipfile.ZipFile(export_project(filled, "cutouts")) as archive:
        image = np.asarray(Image.open(io.BytesIO(archive.read("2/00000.png"))))
    np.testing.assert_array_equal(image > 0, square(30, number=2) > 0)


def test_the_overlay_has_every_frame_and_the_chosen_colours(filled: Project) -> None:
    with open_source(export_project(filled, "overlay")) as source:
        frames = [frame.image for frame in source]
    assert len(frames) == FRAMES
    red, green, blue = frames[0][22, 36].astype(int)
    assert blue > red + 20
    assert blue > green + 20


def test_nothing_to_export_is_said(project: Project) -> None:
    with pytest.raises(InputError, match="no frame has a mask yet"):
        export_project(project, "masks")
    with pytest.raises(InputError, match="format: expected one of masks, overlay"):
        export_project(project, "../masks")
