"""Projects that another release wrote, or that were damaged: opened whole, or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.studio.small_project import BLUE, FRAMES, RED, draw, square
from vostrack.errors import InputError
from vostrack.masks import write_label_map
from vostrack.studio.frames import video_facts
from vostrack.studio.project import Project


def reopened(project: Project) -> Project:
    return Project(project.folder, project.video)


def test_a_project_of_the_first_release_with_the_page_opens(tmp_path: Path, video: Path) -> None:
    """It had no digest, did not say which objects a drawing is about, and kept no scores."""
    folder = tmp_path / "old.vostrack"
    facts = {k: v for k, v in asdict(video_facts(str(video))).items() if k != "digest"}
    objects = [asdict(RED), asdict(BLUE)]
    edits = [
        {"what": "add", "objects": objects, "frame": None, "labels": None},
        {"what": "paint", "objects": objects, "frame": 0, "labels": "000000.png"},
        {"what": "delete Blue", "objects": objects[:1], "frame": None, "labels": None},
    ]
    folder.mkdir()
    journal = {"version": 1, "video": facts, "edits": edits, "done": 2}
    (folder / "project.json").write_text(json.dumps(journal))
    (folder / "tracked.json").write_text(
        json.dumps({"1": [[[1, 1.0], [2, 0.5]], [[1, 144], [2, 144]], True]})
    )
    both = square(5) + square(30, number=2)
    write_label_map(folder / "edits" / "000000.png", both)
    write_label_map(folder / "masks" / "00001.png", both)
    found = Project(folder, video_facts(str(video)))
    assert (found.objects, found.corrected, sorted(found.tracked)) == ((RED, BLUE), [0], [1])
    for frame in (0, 1):
        np.testing.assert_array_equal(found.labels(frame)[0], both)
    assert found.scores(1)[0].max() == 255
    assert found.steps() == ("paint", "delete Blue")
    found.move(1)
    np.testing.assert_array_equal(found.labels(1)[0], square(5))
    found.move(-1)
    draw(found, 2, square(9))
    assert Project(folder, found.video).corrected == [0, 2]
    np.testing.assert_array_equal(found.labels(1)[0], both)


NEWER = "which this vostrack does not know: a newer one wrote it; open it with that, or give"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: found.pop("edits"), "is damaged"),
        (lambda found: found["edits"][-1].update(labels="../../000000.png"), "is damaged"),
        (lambda found: found.update(version=2), r"^project: \S+ has version 2[^(]*`project`$"),
        (lambda found: found.pop("version"), "is damaged"),
        (lambda found: found.update(done=99), "99 of 1 edits cannot hold"),
        (lambda found: found.update(done=-1), "-1 of 1 edits cannot hold"),
        (lambda found: found["edits"][-1].update(frame=FRAMES), "no frame of the video: 8"),
        (lambda found: found["edits"][-1].update(frame="a"), "no frame of the video: 'a'"),
        (lambda found: found.update(more=1), f"'more', {NEWER}"),
        (lambda found: found["video"].update(more=1), NEWER),
        (lambda found: found["edits"][0].update(more=1), NEWER),
        (lambda found: found["edits"][0]["objects"][0].update(more=1), NEWER),
    ],
)
def test_a_journal_that_cannot_be_read_is_refused_and_stays(
    project: Project, change: Callable[[Any], object], message: str
) -> None:
    path = project.folder / "project.json"
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))
    before = path.read_bytes()
    with pytest.raises(InputError, match=message):
        reopened(project)
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["[]", "null", '{"1": 5}', '{"1": [[["a", "b"]], [], true]}', "{"])
def test_without_what_the_tracker_said_frames_are_doubtful(project: Project, text: str) -> None:
    project.track(1, square(5), {1: 1.0})
    (project.folder / "tracked.json").write_text(text)
    again = reopened(project)
    np.testing.assert_array_equal(again.labels(1)[0], square(5))
    assert again.tracked[1].doubtful


@pytest.mark.parametrize("name", ["masks/00001.png", "edits/000000.png"])
def test_a_mask_of_another_size_is_refused(project: Project, name: str) -> None:
    project.track(1, square(5), {1: 1.0})
    draw(project, 1, square(6) + square(40, number=2))
    write_label_map(project.folder / name, np.ones((5, 6), np.uint8))
    project.move(-1 if name.startswith("masks") else 0)
    with pytest.raises(InputError, match=r"mask: that of frame 1 .* has 6 x 5 pixels, expected 64"):
        project.labels(1)


def test_a_score_that_is_not_there_is_no_word_in_the_terminal(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    project.track(1, square(5), {1: 1.0})
    project.scores(1)
    assert capfd.readouterr().err == ""
