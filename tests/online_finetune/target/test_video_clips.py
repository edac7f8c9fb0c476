"""Training clips of annotated videos, and mixtures of sources."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator, Tensor

from vostrack.datasets import VideoSequence
from vostrack.errors import InputError
from vostrack.masks.palette import write_label_map
from vostrack.online_finetune.target.clip_mixture import ClipMixture
from vostrack.online_finetune.target.training_clip import TrainingClip
from vostrack.online_finetune.target.video_clips import VideoClipConfig, VideoClips

PLAIN = VideoClipConfig(lost=0, resumed=0, paste=0, absent=0)


def draw(
    videos: list[VideoSequence], config: VideoClipConfig, seed: int, length: int = 4
) -> TrainingClip:
    return VideoClips(videos, config).draw(Generator().manual_seed(seed), length)


def vivid(images: Tensor) -> Tensor:
    """Where red and blue are far apart: on the objects, and nowhere else."""
    return (images[:, 0].float() - images[:, 2].float()).abs() > 64


@pytest.mark.parametrize("length", [2, 4, 7])
def test_a_clip_shows_its_object(videos: list[VideoSequence], length: int) -> None:
    assert len(VideoClips(videos, PLAIN)) == 2
    for seed in range(8):
        clip = draw(videos, PLAIN, seed, length)
        assert clip["images"].shape == (length, 3, 120, 160)
        assert clip["labels"].shape == (length, 120, 160)
        assert set(torch.unique(clip["labels"]).tolist()) == {0, 1}
        assert not clip["lost"]
        inside = clip["labels"] > 0
        assert inside[0].sum() > 200
        assert (vivid(clip["images"]) == inside).float().mean() > 0.95


def test_clips_are_replayable_and_vary(videos: list[VideoSequence]) -> None:
    config = VideoClipConfig(paste=1)
    one, again, other = (draw(videos, config, seed)["images"] for seed in (3, 3, 4))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(("followed", "counts"), [(0.0, {1}), (1.0, {1, 2})])
def test_a_pasted_object_is_followed_or_in_the_way(
    videos: list[VideoSequence], followed: float, counts: set[int]
) -> None:
    still = VideoClipConfig(
        lost=0, resumed=0, paste=1, absent=0, twin=0, rotation=0, zoom=0, growth=0
    )
    config = replace(still, follow_pasted=followed)
    found, uncovered = set(), 0
    for seed in range(12):
        clip = draw(videos, config, seed)
        found.add(int(clip["labels"][0].max()))
        # What is pasted and not followed is vivid, too, but has no label.
        uncovered += int((vivid(clip["images"]) & (clip["labels"] == 0))[0].sum())
    assert found == counts
    assert (uncovered > 12 * 150) == (followed == 0)


def test_a_twin_looks_like_the_videos_own_object(videos: list[VideoSequence]) -> None:
    config = VideoClipConfig(lost=0, resumed=0, paste=1, absent=0, twin=1, follow_pasted=1)
    pairs = 0
    for seed in range(8):
        clip = draw(videos, config, seed)
        colours = [
            clip["images"][0][:, clip["labels"][0] == number].float().mean(1)
            for number in range(1, int(clip["labels"][0].max()) + 1)
        ]
        if len(colours) == 2:
            pairs += 1
            assert bool((colours[0][0] > colours[0][2]) == (colours[1][0] > colours[1][2]))
    assert pairs >= 4


def test_an_object_can_be_absent(videos: list[VideoSequence]) -> None:
    clip = draw(videos, VideoClipConfig(lost=0, paste=0, absent=1), 0)
    assert clip["labels"][-2].any()
    assert not clip["labels"][-1].any()


def test_a_lost_object_begins_elsewhere(videos: list[VideoSequence]) -> None:
    assert all(draw(videos, VideoClipConfig(lost=1, resumed=0), seed)["lost"] for seed in range(3))


def test_objects_are_lost_or_followed_on_from_elsewhere_as_often_as_asked(
    videos: list[VideoSequence],
) -> None:
    clips = [draw(videos, VideoClipConfig(lost=0.3, resumed=0.5), seed) for seed in range(60)]
    assert not any(clip["lost"] and clip["resumed"] for clip in clips)
    assert 8 <= sum(clip["lost"] for clip in clips) <= 28
    assert 20 <= sum(clip["resumed"] for clip in clips) <= 40


def test_shares_of_more_than_all_clips_are_refused() -> None:
    assert VideoClipConfig(lost=0.9, resumed=0.1).resumed == 0.1
    with pytest.raises(InputError, match=r"at most 1 together, got 0.8 and 0.3"):
        VideoClipConfig(lost=0.8, resumed=0.3)


def test_ids_are_numbered_from_one_and_void_is_none(tmp_path: Path) -> None:
    frames, masks = [], []
    for t in range(2):
        labels = np.zeros((120, 160), np.uint8)
        labels[20:60, 20:60], labels[60:100, 90:130], labels[:4] = 3, 7, 255
        picture = np.full((120, 160, 3), 90, np.uint8)
        picture[labels == 3], picture[labels == 7] = (240, 0, 0), (0, 0, 240)
        frames.append(tmp_path / f"{t}.jpg")
        masks.append(tmp_path / f"{t}.png")
        Image.fromarray(picture).save(frames[-1])
        Image.fromarray(labels).save(masks[-1])
    video = VideoSequence("two", tuple(frames), tuple(masks), ((0, masks[0]),), "ids", "")
    for objects in (1, 3):
        config = VideoClipConfig(lost=0, resumed=0, paste=0, absent=0, objects=objects)
        clip = draw([video], config, 5, 2)
        assert set(torch.unique(clip["labels"]).tolist()) == {
            0,
            *range(1, 1 + min(objects, 2)),
            255,
        }
        for number in range(1, min(objects, 2) + 1):
            reds = clip["images"][0, 0][clip["labels"][0] == number].float()
            blues = clip["images"][0, 2][clip["labels"][0] == number].float()
            assert float((reds - blues).abs().mean()) > 64


def test_no_annotated_video_is_an_error(videos: list[VideoSequence]) -> None:
    bare = VideoSequence("bare", videos[0].frames, (None,) * 5, (), "binary", "")
    with pytest.raises(InputError, match="none of the videos"):
        VideoClips([bare], PLAIN)


class Named:
    """Gives clips that only say whose they are."""

    def __init__(self, name: int) -> None:
        self.name = name

    def draw(self, generator: Generator, length: int) -> TrainingClip:
        empty = torch.zeros(length, 1, 1, dtype=torch.uint8)
        return TrainingClip(images=empty, labels=empty, lost=False, resumed=False, seed=self.name)


def test_a_mixture_keeps_its_shares() -> None:
    mixture = ClipMixture([(Named(0), 0.5), (Named(1), 1.5)])
    generator = Generator().manual_seed(0)
    drawn = [mixture.draw(generator, 2)["seed"] for _ in range(400)]
    assert 0.69 < np.mean(drawn) < 0.81
    again = Generator().manual_seed(0)
    assert [mixture.draw(again, 2)["seed"] for _ in range(400)] == drawn
    for wrong in ([], [(Named(0), 0.0)]):
        with pytest.raises(InputError, match="shares over 0"):
            ClipMixture(wrong)


def test_objects_too_small_to_follow_are_refused(tmp_path: Path) -> None:
    image, mask = tmp_path / "0.jpg", np.zeros((40, 40), np.uint8)
    Image.new("RGB", (40, 40)).save(image)
    mask[:6, :6] = 1
    write_label_map(tmp_path / "0.png", mask)
    masks = (tmp_path / "0.png",) * 2
    clips = VideoClips([VideoSequence("a", (image,) * 2, masks, (), "ids", "")], PLAIN)
    with pytest.raises(InputError, match=r"none of 100 clips .* an object of at least 200 pixels"):
        clips.draw(Generator().manual_seed(0), 2)


def test_void_stays_void(tmp_path: Path) -> None:
    """It moves with the picture, and is neither an object to follow nor background."""
    labels = np.zeros((120, 160), np.uint8)
    labels[30:70, 40:90] = 254
    labels[30:70, 90:110] = 255
    picture = np.full((120, 160, 3), 100, np.uint8)
    picture[labels == 254], picture[labels == 255] = (240, 0, 0), (0, 240, 0)
    Image.fromarray(picture).save(tmp_path / "0.png")
    write_label_map(tmp_path / "mask.png", labels)
    files = (tmp_path / "0.png",) * 3, (tmp_path / "mask.png",) * 3
    video = VideoSequence("a", *files, (), "ids", "")
    for paste, counts in ((0.0, {1}), (1.0, {1, 2})):
        followed = set()
        for seed in range(8):
            clip = draw([video], replace(PLAIN, paste=paste), seed, 3)
            images, labels_now = clip["images"].float(), clip["labels"]
            green = (images[:, 1] - images[:, 0]) > 64
            assert (green == (labels_now == 255)).float().mean() > 0.97
            followed.add(int(labels_now[labels_now < 255].max()))
        assert followed == counts
