"""Which project belongs to which video, where names or contents differ only a little."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tests.studio.conftest import write_frames
from tests.studio.small_project import FRAMES, RED, draw, square
from vostrack.errors import InputError
from vostrack.runs.content import sample_digest
from vostrack.studio.frames import video_facts
from vostrack.studio.places import project_folder
from vostrack.studio.project import Project

if TYPE_CHECKING:
    from vostrack.studio.desk import Desk


def folder_of(video: Path) -> Path:
    return project_folder(video, video_facts(str(video)))


def opened(video: Path) -> Project:
    facts = video_facts(str(video))
    return Project(project_folder(video, facts), facts)


def other_frames(folder: Path, count: int = FRAMES) -> Path:
    """Write frames of the same names and size with other pixels."""
    write_frames(folder, count)
    for path in folder.iterdir():
        Image.fromarray(255 - np.array(Image.open(path))).save(path)
    return folder


def gif(path: Path, frames: Path) -> Path:
    first, *others = (Image.open(one) for one in sorted(frames.iterdir()))
    first.save(path, format="GIF", save_all=True, append_images=others)
    return path


def without_digest(project: Project) -> None:
    """Make the journal one of an older version."""
    path = project.folder / "project.json"
    found = json.loads(path.read_text())
    del found["video"]["digest"]
    path.write_text(json.dumps(found))


@pytest.mark.parametrize("count", [FRAMES, FRAMES - 1])
def test_another_take_opened_in_the_page_is_shown_and_keeps_its_own_work(
    desk: Desk, tmp_path: Path, count: int
) -> None:
    first = write_frames(tmp_path / "take.1")
    second = other_frames(tmp_path / "take.2", count)
    desk.open(first)
    desk.session().set_objects([RED], "add object")
    draw(desk.session().project, 0, square(5))
    desk.open(second)
    project = desk.session().project
    assert (project.video.path, project.video.count) == (str(second), count)
    assert (project.folder, project.corrected) == (tmp_path / "take.2.vostrack", [])
    desk.open(first)
    assert desk.session().project.corrected == [0]
    key = desk.key
    desk.open(first)  # it is open: nothing is closed
    assert desk.key == key


def test_a_chosen_folder_is_not_shared_with_another_video(desk: Desk, tmp_path: Path) -> None:
    other = other_frames(tmp_path / "other")
    key = desk.key
    with pytest.raises(InputError, match=r"belongs to .*clip with 8 frames .* not to .*other; mov"):
        desk.open(other, tmp_path / "project")
    assert desk.key == key


def test_files_that_differ_in_their_suffix_have_a_project_each(tmp_path: Path) -> None:
    first = gif(tmp_path / "clip.gif", write_frames(tmp_path / "a"))
    second = gif(tmp_path / "clip.apng", other_frames(tmp_path / "b"))
    for _ in range(2):
        assert opened(first).folder == tmp_path / "clip.vostrack"
        assert opened(second).folder == tmp_path / "clip.apng.vostrack"


def test_copies_have_a_project_each(tmp_path: Path) -> None:
    first = gif(tmp_path / "clip.gif", write_frames(tmp_path / "a"))
    second = tmp_path / "clip.apng"
    shutil.copy(first, second)
    assert opened(first).folder == tmp_path / "clip.vostrack"
    assert opened(second).folder == tmp_path / "clip.apng.vostrack"


def test_a_video_that_took_the_place_of_another_is_refused(tmp_path: Path) -> None:
    video = gif(tmp_path / "clip.gif", write_frames(tmp_path / "a"))
    opened(video)
    gif(video, other_frames(tmp_path / "b"))
    with pytest.raises(
        InputError,
        match=r"made when .*clip.gif was another video, with 8 frames .*; move that folder",
    ):
        opened(video)
    (tmp_path / "clip.vostrack").rename(tmp_path / "old.vostrack")
    assert opened(video).folder == tmp_path / "clip.vostrack"


def test_a_video_that_moved_with_its_project_keeps_it(tmp_path: Path) -> None:
    video = gif(tmp_path / "clip.gif", write_frames(tmp_path / "a"))
    opened(video).set_objects([RED], "add object")
    shutil.copytree(tmp_path, tmp_path / "copy")
    assert opened(tmp_path / "copy" / "clip.gif").objects == (RED,)
    video.rename(tmp_path / "film.gif")
    (tmp_path / "clip.vostrack").rename(tmp_path / "film.vostrack")
    assert opened(tmp_path / "film.gif").objects == (RED,)


def test_older_projects_open_for_their_own_video_only(tmp_path: Path) -> None:
    first, second = write_frames(tmp_path / "take.1"), other_frames(tmp_path / "take.2")
    facts = video_facts(str(first))
    older = Project(tmp_path / "take.vostrack", replace(facts, digest=""))
    without_digest(older)
    assert folder_of(second) == tmp_path / "take.2.vostrack"
    assert opened(first).folder == older.folder
    written = json.loads((older.folder / "project.json").read_text())["video"]
    assert written["digest"] == facts.digest
    with pytest.raises(InputError, match=r"belongs to .*take.1 with"):
        Project(older.folder, video_facts(str(second)))


def test_a_sample_tells_contents_apart_without_reading_all(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    size = 4 * 1024**2
    contents = [bytes(size), b"1" + bytes(size - 1), bytes(size - 1) + b"1", bytes(size - 1), b""]
    digests = set()
    for content in contents:
        path.write_bytes(content)
        digests.add(sample_digest(str(path)))
    assert len(digests) == len(contents)
    with path.open("wb") as file:
        file.truncate(2**40)  # holds nothing on the disk, but would take an hour to read
    assert sample_digest(str(path)) not in digests
    assert sample_digest("rtsp://host/stream") == sample_digest("0") == ""


def test_a_video_that_was_renamed_keeps_its_work_and_says_so(tmp_path: Path) -> None:
    video = gif(tmp_path / "clip.gif", write_frames(tmp_path / "a"))
    worked = opened(video)
    worked.set_objects([RED], "add object")
    damaged = tmp_path / "other.vostrack" / "project.json"
    damaged.parent.mkdir()
    damaged.write_text("{")
    film = video.rename(tmp_path / "film.gif")
    facts = video_facts(str(film))
    Project(tmp_path / "film.vostrack", facts)  # empty, as older releases made it then
    found = opened(film)
    assert (found.folder, found.objects) == (worked.folder, (RED,))
    assert (found.renamed_from, opened(film).renamed_from) == ("clip.gif", "")
    gif(video, other_frames(tmp_path / "b"))  # another takes the name
    assert folder_of(video) == tmp_path / "clip.gif.vostrack"
    assert folder_of(film) == worked.folder


def test_a_renamed_video_takes_no_project_from_a_copy_that_is_there(tmp_path: Path) -> None:
    first = gif(tmp_path / "clip.gif", write_frames(tmp_path / "a"))
    opened(first).set_objects([RED], "add object")
    shutil.copy(first, tmp_path / "film.gif")
    assert folder_of(tmp_path / "film.gif") == tmp_path / "film.vostrack"
