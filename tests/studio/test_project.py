"""A project keeps everything, on disk, at every moment."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.studio.small_project import BLUE, RED, draw, square
from vostrack.errors import InputError
from vostrack.studio.frames import video_facts
from vostrack.studio.journal import StudioObject
from vostrack.studio.project import ConflictError, Project


def reopened(project: Project) -> Project:
    return Project(project.folder, project.video)


def test_what_was_drawn_is_there_after_a_restart(project: Project) -> None:
    draw(project, 3, square(5))
    again = reopened(project)
    np.testing.assert_array_equal(again.labels(3)[0], square(5))
    assert again.corrected == [3]
    assert again.objects == (RED, BLUE)
    assert again.labels(2)[0].max() == 0


def test_undo_and_redo_reach_back_to_the_first_edit_even_after_a_restart(project: Project) -> None:
    for x in range(6):
        draw(project, x % 2, square(x))
    again = reopened(project)
    for x in reversed(range(6)):
        assert again.steps()[0] == "paint"
        assert again.move(-1) == x % 2
    assert again.corrected == []
    assert again.move(-1) is None
    assert again.objects == ()
    assert again.steps()[0] is None
    again = reopened(again)
    for _ in range(7):
        again.move(1)
    np.testing.assert_array_equal(again.labels(0)[0], square(4))
    np.testing.assert_array_equal(again.labels(1)[0], square(5))
    assert again.move(1) is None


def test_what_is_shown_already_is_no_edit(project: Project) -> None:
    draw(project, 0, 0 * square(0))  # no frame has a mask yet
    draw(project, 1, square(5))
    project.track(2, square(6), {1: 1.0})
    assert (project.corrected, project.steps()[0]) == ([1], "paint")
    files = sorted((project.folder / "edits").iterdir())
    for frame in (1, 2, 3):
        labels, tag = project.labels(frame)
        assert not project.draw(frame, labels, tag, "line")
        assert project.tag(frame) == tag
    assert (project.corrected, project.steps()[0]) == ([1], "paint")
    assert sorted((project.folder / "edits").iterdir()) == files
    assert project.draw(2, 0 * square(0), project.tag(2), "erase")  # taking all of it out is one
    assert project.erased == {2: [1]}


def test_a_new_edit_takes_the_place_of_those_undone(project: Project) -> None:
    draw(project, 0, square(1))
    draw(project, 0, square(2))
    project.move(-1)
    draw(project, 0, square(3))
    assert project.steps()[1] is None
    project.move(-1)
    np.testing.assert_array_equal(project.labels(0)[0], square(1))


def test_the_tracker_never_replaces_what_was_drawn(project: Project) -> None:
    draw(project, 2, square(5))
    project.track(2, square(40), {1: 1.0})
    np.testing.assert_array_equal(project.labels(2)[0], square(5))
    project.erase(2)
    np.testing.assert_array_equal(project.labels(2)[0], square(40))
    project.move(-1)
    np.testing.assert_array_equal(project.labels(2)[0], square(5))


def test_an_ended_object_is_gone_from_the_next_frame_on(project: Project) -> None:
    both = square(5) + square(30, number=2)
    draw(project, 3, both)
    for frame in range(4):
        project.track(frame, both, {1: 1.0, 2: 1.0})
    before = [project.labels(frame) for frame in range(4)]
    project.set_objects([RED, replace(BLUE, last=1)], "end Blue")
    for frame, (labels, tag) in enumerate(before):
        gone = frame > 1
        found, other = project.labels(frame)
        np.testing.assert_array_equal(found, square(5) if gone else labels)
        assert (other != tag) is gone
    assert project.drawn == {3: [1]}
    assert [sorted(one.presence) for _, one in sorted(project.tracked.items())] == [
        *[[1, 2]] * 2,
        *[[1]] * 2,
    ]
    with pytest.raises(InputError, match=r"Blue ends with frame 1.*press Go on"):
        draw(project, 2, both)
    with pytest.raises(ConflictError):  # of a page that has not heard of the end
        project.draw(2, both, before[2][1], "paint")
    draw(project, 3, square(6))
    project.set_objects([RED, BLUE], "go on with Blue")
    np.testing.assert_array_equal(project.labels(3)[0], square(6) + square(30, number=2))
    for _ in range(3):
        project.move(-1)
    for frame, (labels, tag) in enumerate(before):
        np.testing.assert_array_equal(project.labels(frame)[0], labels)
        assert project.labels(frame)[1] == tag


def test_what_was_drawn_of_an_ended_object_comes_back_with_it(project: Project) -> None:
    for frame, drawn, erased in ((3, square(10), {}), (2, 0 * square(0), {2: [1]})):
        project.track(frame, square(5) + square(30, number=2), {1: 1.0, 2: 1.0})
        draw(project, frame, drawn + square(30, number=2))
        project.set_objects([replace(RED, last=1), BLUE], "end Red")
        draw(project, frame, square(33, number=2))
        np.testing.assert_array_equal(project.labels(frame)[0], square(33, number=2))
        project.set_objects([RED, BLUE], "go on with Red")
        np.testing.assert_array_equal(project.labels(frame)[0], drawn + square(33, number=2))
        assert project.erased == erased


def test_tags_of_tracked_frames_hold_over_a_restart(project: Project) -> None:
    project.track(2, square(5), {1: 1.0})
    project.track(2, square(6), {1: 1.0})
    tag = project.tag(2)
    again = Project(project.folder, project.video)
    assert again.tag(2) == tag
    again.track(2, square(7), {1: 1.0})
    assert again.tag(2) != tag


def test_what_was_not_looked_for_can_stay(project: Project) -> None:
    sure = np.full_like(square(0), 200)
    project.track(2, square(5) + square(30, number=2), {1: 0.9, 2: 0.8}, sure)
    project.track(2, square(33, number=2), {2: 0.7}, sure // 2, others=(1, 2))
    np.testing.assert_array_equal(project.labels(2)[0], square(5) + square(33, number=2))
    assert project.tracked[2].presence == {1: 0.9, 2: 0.7}
    scores = project.scores(2)[0]
    assert scores[square(5) > 0].min() == 200
    assert scores[square(33) > 0].max() == 100
    project.track(2, square(33, number=2), {2: 0.7})
    np.testing.assert_array_equal(project.labels(2)[0], square(33, number=2))


def test_frames_in_which_all_objects_have_ended_stay_tracked(project: Project) -> None:
    project.track(3, square(5), {1: 0.5})
    project.set_objects([replace(RED, last=1)], "end Red")
    assert project.tracked[3].presence == {}
    assert not project.tracked[3].doubtful
    project.set_objects([BLUE], "delete Red")
    assert project.tracked == {}


@pytest.mark.parametrize("killed", [False, True])
def test_an_object_whose_making_was_undone_is_gone_with_another_tag(
    project: Project, killed: bool
) -> None:
    project.set_objects([RED], "delete Blue")
    project.set_objects([RED, BLUE], "add Blue")
    scores = np.full((48, 64), 200, np.uint8)
    project.track(1, square(5) + square(30, number=2), {1: 1.0, 2: 1.0}, scores)
    if killed:
        (project.folder / "tracked.json").unlink(missing_ok=True)
        project = reopened(project)
    _, tag = project.labels(1)
    project.move(-1)
    found, other = project.labels(1)
    np.testing.assert_array_equal(found, square(5))
    assert other != tag
    sure, same = project.scores(1)
    assert same == other
    assert sure[20, 10] == 200
    assert sure[20, 36] == sure[20, 44] == 0  # where Blue was, and beside it
    project.move(1)
    assert project.labels(1)[1] == tag


def test_what_a_frame_says_of_others_is_that_of_the_tracker(project: Project) -> None:
    draw(project, 2, square(5))
    _, tag = project.labels(2)
    project.track(2, square(30, number=2), {2: 1.0}, np.full((48, 64), 100, np.uint8))
    labels, other = project.labels(2)
    np.testing.assert_array_equal(labels, square(5) + square(30, number=2))
    assert other != tag
    sure, _ = project.scores(2)
    assert (sure[20, 10], sure[20, 36]) == (255, 100)
    draw(project, 2, square(5))
    np.testing.assert_array_equal(project.labels(2)[0], square(5))
    assert project.erased == {2: [2]}


def test_a_drawn_frame_of_an_older_project_says_that_the_others_are_absent(
    project: Project,
) -> None:
    draw(project, 2, square(5))
    found = json.loads((project.folder / "project.json").read_text())
    del found["edits"][-1]["absent"]
    (project.folder / "project.json").write_text(json.dumps(found))
    again = reopened(project)
    again.track(2, square(30, number=2), {2: 1.0})
    np.testing.assert_array_equal(again.labels(2)[0], square(5))
    assert again.erased == {2: [2]}


def test_an_edit_of_an_older_label_map_is_refused(project: Project) -> None:
    _, tag = project.labels(1)
    draw(project, 1, square(5))
    with pytest.raises(ConflictError, match="frame 1 was changed meanwhile"):
        project.draw(1, square(9), tag, "paint")
    np.testing.assert_array_equal(project.labels(1)[0], square(5))


def test_tracked_frames_survive_a_kill_without_their_presence(project: Project) -> None:
    project.track(1, square(6), {1: 0.99})
    project.write_tracked()
    project.track(2, square(7), {1: 0.99})
    again = reopened(project)
    np.testing.assert_array_equal(again.labels(2)[0], square(7))
    assert again.tracked[1].presence == {1: 0.99}
    assert not again.tracked[1].doubtful
    assert again.tracked[2].doubtful


def test_half_written_files_are_not_read(project: Project) -> None:
    draw(project, 1, square(5))
    for name in ("project.json", "masks/00003.png", "edits/000001.png"):
        path = project.folder / name
        path.parent.mkdir(exist_ok=True)
        path.with_name(f".{path.name}.0a1b2c3d.tmp").write_bytes(b"half")
    again = reopened(project)
    assert again.corrected == [1]
    assert again.tracked == {}


def test_a_full_disk_leaves_the_state_as_it_was(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(project, 1, square(5))

    def full(self: Path, *_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match="No space left"):
            draw(project, 1, square(9))
    np.testing.assert_array_equal(project.labels(1)[0], square(5))
    np.testing.assert_array_equal(reopened(project).labels(1)[0], square(5))
    draw(project, 1, square(10))
    np.testing.assert_array_equal(reopened(project).labels(1)[0], square(10))


def test_doubt_is_an_unsure_presence_or_a_jump_in_size(project: Project) -> None:
    assert not project.track(0, square(5), {1: 0.95}).doubtful
    assert not project.track(1, square(5, side=13), {1: 0.95}).doubtful
    assert project.track(2, square(5, side=22), {1: 0.95}).doubtful
    assert project.track(3, square(5, side=22), {1: 0.5}).doubtful
    assert project.track(4, 0 * square(5), {1: 0.95}).doubtful


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ([RED, replace(BLUE, id=1)], "the same id"),
        ([replace(RED, id=255)], "ids in 1..254, got 255"),
        ([replace(RED, colour="red")], "a colour like"),
        ([replace(RED, name="")], "a name of 1..80"),
        ([replace(RED, name=" \u3000\u200b")], "characters that can be seen"),
        ([replace(RED, name="cat\u202egnp.")], "marks that turn the direction"),
        ([replace(RED, name="a" * 81)], "a name of 1..80"),
        ([replace(RED, last=8)], "frame: expected 0..7, got 8"),
    ],
)
def test_objects_that_cannot_be(
    project: Project, objects: list[StudioObject], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        project.set_objects(objects, "change")
    assert project.objects == (RED, BLUE)


def test_names_have_no_blanks_around_them(project: Project) -> None:
    # Persian words and joined emoji need marks that cannot be seen.
    for name in ("cat", "\u0645\u06cc\u200c\u0631\u0648\u0645", "\U0001f468\u200d\U0001f33e"):
        project.set_objects([replace(RED, name=f"  {name}\u00a0")], "rename")
        assert project.objects[0].name == name


@pytest.mark.parametrize(
    ("labels", "message"),
    [(square(5)[:40], "mask: expected 64 x 48"), (square(5, number=9), "no object has the id 9")],
)
def test_label_maps_that_cannot_be(
    project: Project, labels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        draw(project, 0, labels)


def test_a_folder_of_another_video_is_refused(project: Project) -> None:
    draw(project, 0, square(5))
    with pytest.raises(InputError, match=r"belongs to .* with 8 frames of 64 x 48, not to"):
        Project(project.folder, replace(project.video, count=9, path="/other.mp4"))
    with pytest.raises(InputError, match=r"made when .* was another video, with 8 frames"):
        Project(project.folder, replace(project.video, digest="0"))


def test_facts_of_a_video(video: Path) -> None:
    facts = video_facts(str(video))
    assert (facts.width, facts.height, facts.count, facts.rate) == (64, 48, 8, 25.0)
