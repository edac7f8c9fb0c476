"""Two passes over a video: what is learned from the first, and where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from vostrack.errors import InputError
from vostrack.tracking.config import TrackerConfig
from vostrack.tracking.edited_video import EditedVideo
from vostrack.tracking.frame_result import FrameResult
from vostrack.tracking.second_pass import SureFrames
from vostrack.tracking.tracker import Tracker
from vostrack.tracking.video import TrackedFrame, track_video
from vostrack.video import Frame, open_source

Clip = tuple[Any, Any]


def tracker_of(adapter: Any, frames: int = 2) -> Tracker:
    return Tracker(adapter, config=TrackerConfig(second_pass=frames))


def track(tracker: Tracker, source: Any, mask: Any, **options: Any) -> list[TrackedFrame]:
    return list(track_video(tracker, open_source(source), mask, **options))


def result(labels: Any, presence: float, *, unsure: bool = False, cut: bool = False) -> FrameResult:
    scores = (labels[None] == 1).astype(np.float32) * (0.6 if unsure else 1)
    return FrameResult(labels, scores, (1,), (presence,), {}, cut=cut)


def test_the_second_start_learns_from_a_sure_frame_of_each_part(learning: Any, clip: Clip) -> None:
    frames, labels = clip
    adapter = learning
    steps = track(tracker_of(adapter), frames, labels[0])
    assert adapter.starts == 2
    assert len(adapter.later) == 2
    for k, (image, slots) in enumerate(adapter.later):
        found = (image * 255).round().byte().permute(1, 2, 0).numpy()
        (index,) = [t for t in range(12) if (frames[t] == found).all()]
        assert index // 6 == k
        assert index != 0
        expected = np.select([labels[index] == 3, labels[index] == 7], [1, 2])
        np.testing.assert_array_equal(slots, expected)
    assert [step.position.index for step in steps] == list(range(12))
    for step in steps:
        np.testing.assert_array_equal(step.result.labels, labels[step.position.index])
    assert set(steps[0].result.timings) >= {"first pass", "fine-tuning"}
    assert "first pass" not in steps[1].result.timings


def test_all_other_frames_are_seen_before_the_first_result(learning: Any, clip: Clip) -> None:
    frames, labels = clip
    told: list[int] = []
    steps = track_video(
        tracker_of(learning),
        open_source(frames),
        labels[4],
        first_mask_frame=4,
        on_advance=told.append,
    )
    assert next(steps).position.index == 4
    assert told == [*range(5, 12), 3, 2, 1, 0]


def test_an_interrupted_run_goes_on_without_a_further_first_pass(learning: Any, clip: Clip) -> None:
    frames, labels = clip
    tracker = tracker_of(learning)
    whole, saved = [], None
    for step in track_video(tracker, open_source(frames), labels[0]):
        whole.append(step)
        if step.position.index == 5:
            saved = tracker.start_state(), tracker.state()
    assert saved is not None
    assert saved[0]["adapter"]["later"] == 2
    adapter = type(learning)()
    other = tracker_of(adapter)
    other.load_state(*saved)
    rest = track(other, frames, labels[0], after=whole[5].position)
    assert adapter.starts == 0
    for one, two in zip(rest, whole[6:], strict=True):
        np.testing.assert_array_equal(one.result.scores, two.result.scores)


def test_what_stops_the_first_pass_leaves_the_tracker_at_the_first_frame(
    learning: Any, clip: Clip
) -> None:
    frames, labels = clip
    adapter = learning
    tracker = tracker_of(adapter)

    def stop(index: int) -> None:
        if index == 3:
            raise KeyboardInterrupt

    steps = track_video(tracker, open_source(frames), labels[0], on_advance=stop)
    with pytest.raises(KeyboardInterrupt):
        next(steps)
    assert adapter.commits == []
    np.testing.assert_array_equal(tracker.state()["last_labels"], labels[0])


@pytest.mark.parametrize("case", ["off", "one pass", "several masks", "read once", "edited"])
def test_where_there_is_no_first_pass(learning: Any, clip: Clip, case: str) -> None:
    frames, labels = clip
    adapter = learning
    tracker = tracker_of(adapter, 0 if case == "off" else 2)
    if case == "edited":
        video = EditedVideo(tracker, open_source(frames))
        video.give(0, labels[0])
        assert len(list(video.track())) == 12
    else:
        options = {"passes": 1} if case == "one pass" else {}
        masks = {0: labels[0], 6: np.zeros_like(labels[0])} if case == "several masks" else None
        source = iter(frames) if case == "read once" else frames
        track(tracker, source, labels[0] if masks is None else masks, **options)
    assert (adapter.starts, adapter.later) == (1, [])


def test_object_models_that_learn_from_one_frame_are_tracked_once(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    track(tracker_of(adapter), frames, labels[0])
    assert adapter.starts == 1
    with pytest.raises(InputError, match="later: ColourAdapter learns from the first frame only"):
        Tracker(adapter).start(frames[0], labels[0], later=[(frames[1], labels[1])])


def test_nothing_is_learned_where_nothing_is_sure(learning: Any, clip: Clip) -> None:
    frames, labels = clip
    frames = frames.copy()
    frames[1:] = 90  # the objects are gone
    adapter = learning
    steps = track(tracker_of(adapter), frames, labels[0])
    assert (adapter.starts, len(steps)) == (1, 12)
    assert steps[0].result.timings["first pass"] > 0


def test_the_surest_frame_of_a_part_is_kept() -> None:
    labels = np.zeros((40, 60), np.uint8)
    labels[5:25, 5:35] = 1
    small = np.where(np.arange(60) < 8, labels, 0).astype(np.uint8)
    offered = [
        result(labels, 0.85),
        result(labels, 0.95),
        result(labels, 0.9),
        result(labels, 0.79),  # not sure enough
        result(labels, 1.0, unsure=True),
        result(labels, 1.0, cut=True),
        result(small, 1.0),
        result(labels, 0.8),
    ]
    sure = SureFrames(range(0, 16, 2), 2)
    for k, found in enumerate(offered):
        sure.offer(Frame(2 * k, 0.0, np.full((40, 60, 3), k, np.uint8)), found)
    assert [int(frame[0, 0, 0]) for frame, _ in sure.chosen()] == [1, 7]


def test_later_frames_without_all_objects_say_nothing(learning: Any, clip: Clip) -> None:
    frames, labels = clip
    adapter = learning
    one = np.where(labels[2] == 3, 3, 0).astype(np.uint8)
    strange = np.where(labels[3] == 0, 9, labels[3]).astype(np.uint8)
    later = [(frames[2], one), (frames[3], strange)]
    Tracker(adapter).start(frames[0], labels[0], later=later)
    ((_, slots),) = adapter.later
    assert torch.unique(slots).tolist() == [0, 1, 2]
    with pytest.raises(InputError, match=r"later: expected frames of 90 x 60 pixels"):
        Tracker(adapter).start(frames[0], labels[0], later=[(frames[1, :50], labels[1, :50])])
