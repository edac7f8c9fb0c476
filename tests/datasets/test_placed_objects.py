"""Metadata that let objects start where no mask shows them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.datasets.small_sets import LATE, make_mose, make_youtube_vos
from vostrack.batch import dataset_jobs
from vostrack.datasets import SequenceObject, VideoSequence, open_mose, open_youtube_vos
from vostrack.datasets.placed_objects import place_objects
from vostrack.eval.submission import write_submission
from vostrack.masks.palette import read_label_map


@pytest.fixture
def goats(tmp_path: Path) -> VideoSequence:
    """The objects 2, from the first frame on, and 5, from the third on; all masks are there."""
    return open_youtube_vos(make_youtube_vos(tmp_path / "data"))[0]


def with_object(sequence: VideoSequence, number: int, start: int | None) -> VideoSequence:
    frames = () if start is None else sequence.frame_names[start:]
    others = [found for found in sequence.objects if found.id != number]
    paths = {obj.frames[0] for obj in others} | set(frames[:1])
    prompts = tuple(
        (index, path)
        for index, (name, path) in enumerate(
            zip(sequence.frame_names, sequence.annotations, strict=True)
        )
        if name in paths and path is not None
    )
    objects = (*others, SequenceObject(number, "goat", frames))
    return replace(sequence, objects=objects, prompts=prompts)


def test_right_metadata_stay_as_they_are(goats: VideoSequence, tmp_path: Path) -> None:
    assert place_objects(goats) == (goats, ())
    mose = open_mose(make_mose(tmp_path / "mose"))[0]
    assert place_objects(mose) == (mose, ())


def test_an_object_starts_in_the_first_mask_that_shows_it(goats: VideoSequence) -> None:
    early = with_object(goats, 5, 1)
    placed, notes = place_objects(early)
    assert [index for index, _ in placed.prompts] == [0, LATE]
    assert placed.objects[1].frames == goats.frame_names[LATE:]
    assert notes == (
        "the mask of frame 00005, in which the metadata let object 5 start, does not show it; it "
        "starts in 00010, the first mask that does",
    )
    (job,) = dataset_jobs([early], "out")
    assert job.starts == ((2, 0), (5, LATE))
    assert [index for index, _ in job.later_masks] == [LATE]
    assert job.notes == notes
    assert dataset_jobs([early], "out", given=False)[0].notes == ()


def test_a_video_starts_where_its_only_object_is_shown(goats: VideoSequence) -> None:
    alone = replace(with_object(goats, 5, 0), objects=with_object(goats, 5, 0).objects[1:])
    (job,) = dataset_jobs([alone], "out")
    assert job.frame_names == goats.frame_names[LATE:]
    assert job.starts == ((5, 0),)
    assert job.first_mask is not None
    assert np.any(read_label_map(job.first_mask) == 5)


@pytest.mark.parametrize(
    ("start", "words"), [(1, "no mask from frame 00005 on shows object 7"), (None, "no frame of")]
)
def test_an_object_in_no_mask_is_named(goats: VideoSequence, start: int | None, words: str) -> None:
    placed, (note,) = place_objects(with_object(goats, 7, start))
    assert words in note
    assert placed.objects[2].frames == ()
    assert placed.prompts == goats.prompts


def test_an_object_that_the_metadata_do_not_list_is_named(goats: VideoSequence) -> None:
    alone = replace(goats, objects=goats.objects[:1], prompts=goats.prompts[:1])
    note = "object 5, which the mask of frame 00010 shows, is not in the metadata; it is left out"
    assert place_objects(alone, all_masks=True) == (alone, (note,))
    # Where all frames have masks, only those that start an object are read.
    assert place_objects(alone) == (alone, ())
    given = {index for index, _ in goats.prompts}
    masks = tuple(p if k in given else None for k, p in enumerate(goats.annotations))
    sparse = replace(alone, annotations=masks)
    assert place_objects(sparse) == (sparse, (note,))
    (job,) = dataset_jobs([sparse], "out")
    assert job.notes == (note,)
    assert job.starts == ((2, 0),)


@pytest.mark.parametrize(
    ("start", "note"),
    [
        (0, ""),
        (1, "frame 00000 comes before the first mask and gets none"),
        (2, "frames 00000, 00001 come before the first mask and get none"),
    ],
)
def test_frames_before_the_first_mask_are_named(start: int, note: str, tmp_path: Path) -> None:
    root = make_mose(tmp_path / "mose")
    for index in range(start):
        (root / "Annotations" / "swan" / f"{index:05}.png").unlink()
    sequences = open_mose(root, sequences=["swan"])
    assert dataset_jobs(sequences, "out")[0].notes == ((note,) if note else ())
    written = write_submission(root / "Annotations", sequences, tmp_path / "s.zip")
    assert written.notes == ((f"swan: {note}",) if note else ())


def test_a_mask_that_cannot_be_read_is_left_to_the_reader(goats: VideoSequence) -> None:
    goats.prompts[1][1].write_bytes(b"")
    assert place_objects(goats) == (goats, ())
