"""A first mask without a person: motion, ranking, and the words around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.errors import InputError
from vostrack.proposers.first_mask import (
    Candidate,
    _choose,
    propose_first_mask,
    rank_candidates,
)
from vostrack.proposers.motion import dense_flow, motion_contrast, warped_back
from vostrack.runs.request import ClipRequest

SIZE = (192, 320)
# Rows and columns of the two squares in the first frame.
MOVING, STILL = (slice(60, 108), slice(80, 128)), (slice(60, 108), slice(200, 248))


def _texture(seed: int, size: tuple[int, int]) -> UInt8Array:
    noise = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.5).astype(np.float32)
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return np.asarray(255 * smooth, np.uint8)


def _clip(frames: int = 3, pan: int = 1, speed: int = 3) -> list[UInt8Array]:
    """A panning background with two red squares: one moves, the other goes with the background."""
    world = _texture(0, (SIZE[0], SIZE[1] + pan * frames))
    square = _texture(1, (48, 48))
    square[..., 0] = 255
    world[STILL] = square
    clip = []
    for t in range(frames):
        frame = world[:, pan * t : pan * t + SIZE[1]].copy()
        rows, columns = MOVING
        frame[rows.start + speed * t : rows.stop + speed * t, columns] = square
        clip.append(frame)
    return clip


class Red(torch.nn.Module):
    """A foreground model of what is red."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        red = 8 * ((image[:, :1] > 0.99).float() - 0.5)
        return torch.cat([-red, red], dim=1)


def _box(places: tuple[slice, slice]) -> Any:
    mask = np.zeros(SIZE, np.bool_)
    mask[places] = True
    return mask


def _overlap(one: Any, other: Any) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_motion_is_measured_against_the_background() -> None:
    first, second = _clip(2)
    moving = motion_contrast(dense_flow(first, second))
    assert moving.shape == SIZE
    assert moving[72:96, 92:116].mean() > 0.9
    assert moving[72:96, 212:236].mean() < 0.1  # it pans with the background
    assert np.median(moving) < 0.1


def test_nothing_moves_in_a_still_video() -> None:
    frame = _clip(1)[0]
    assert motion_contrast(dense_flow(frame, frame)).max() < 0.01


def test_a_map_comes_back_to_the_first_frame() -> None:
    flow = np.zeros((12, 16, 2), np.float32)
    flow[..., 0] = 3
    values = np.zeros((12, 16), np.float32)
    values[4, 9] = 1
    back: FloatArray = warped_back(values, flow)
    assert back[4, 6] == 1
    assert back.sum() == 1


def test_the_square_that_moves_is_ranked_first() -> None:
    ranked = rank_candidates(_clip(), Red())  # type: ignore[arg-type]
    best = ranked[0]
    assert _overlap(best.mask, _box(MOVING)) > 0.8
    other = next(c for c in ranked if _overlap(c.mask, _box(STILL)) > 0.8)
    assert best.motion > 2 * other.motion
    still = rank_candidates(_clip(speed=0, pan=0), Red())  # type: ignore[arg-type]
    assert all(candidate.motion < 0.05 for candidate in still)


class Proposing:
    """Proposes the still square."""

    def propose(self, frame: Any, foreground: Any) -> Any:
        from vostrack.protocols import InstanceProposals

        assert foreground.shape == frame.shape[:2]
        one = np.ones(1, np.float32)
        return InstanceProposals(
            _box(STILL)[None], one, np.zeros(1, np.int64), np.zeros((1, 4), np.float32)
        )


def test_proposals_are_ranked_too() -> None:
    found = rank_candidates(_clip(), Red(), Proposing())  # type: ignore[arg-type]
    without = rank_candidates(_clip(), Red())  # type: ignore[arg-type]
    assert len(found) == len(without) + 1
    assert any(np.array_equal(candidate.mask, _box(STILL)) for candidate in found)


@pytest.fixture
def red(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vostrack.models.weights.load_network", lambda path: Red())


def test_the_number_of_objects_is_kept(red: None) -> None:
    clip = _clip(10)
    one = propose_first_mask(clip, objects=1)
    assert one.ids == (1,)
    assert _overlap(one.labels == 1, _box(MOVING)) > 0.8
    two = propose_first_mask(clip, objects=2)
    assert two.ids == (1, 2)
    assert _overlap(two.labels == 2, _box(STILL)) > 0.8
    many = propose_first_mask(clip, objects=9)
    assert many.ids == (1, 2)
    assert any("9 objects were asked for, 2 stand out" in text for text in many.warnings)


def test_unasked_only_those_nearly_as_good_are_taken() -> None:
    masks = np.eye(4, dtype=np.bool_)[:, :, None]
    ranked = [
        Candidate(mask, score, 1.0, 1.0, 1.0)
        for mask, score in zip(masks, (0.5, 0.4, 0.2, 0.1), strict=True)
    ]
    assert [c.score for c in _choose(ranked, None)] == [0.5, 0.4]
    assert [c.score for c in _choose(ranked, 3)] == [0.5, 0.4, 0.2]


def test_it_is_deterministic(red: None) -> None:
    first, second = (propose_first_mask(_clip(10)) for _ in range(2))
    np.testing.assert_array_equal(first.labels, second.labels)


def test_one_frame_is_enough(red: None) -> None:
    assert propose_first_mask(_clip(1), objects=2).ids == (1, 2)


def test_large_frames_are_worked_at_a_smaller_size(red: None) -> None:
    large = [cv2.resize(frame, (1600, 960), interpolation=cv2.INTER_NEAREST) for frame in _clip(10)]
    mask = propose_first_mask(large, objects=1)
    assert mask.labels.shape == (960, 1600)
    assert _overlap(mask.labels[2::5, 2::5] == 1, _box(MOVING)) > 0.7


def test_nothing_found_says_what_to_do(red: None) -> None:
    gray = np.full((*SIZE, 3), 90, np.uint8)
    with pytest.raises(InputError, match=r"no object stands out.*paint a first mask"):
        propose_first_mask([gray, gray])


@pytest.mark.parametrize("objects", [0, 255])
def test_impossible_numbers_are_refused(objects: int) -> None:
    with pytest.raises(InputError, match="objects: expected 1 to 254"):
        propose_first_mask(_clip(2), objects=objects)


def test_numbers_without_auto_are_refused() -> None:
    with pytest.raises(InputError, match="only the first mask auto needs a number of objects"):
        ClipRequest(video="v.mp4", first_mask=("m.png",), objects=2)
    with pytest.raises(InputError, match=r"objects of the first frame.*`start`"):
        ClipRequest(video="v.mp4", first_mask=("auto",), first_mask_frame=3)


def _written(images: list[UInt8Array], folder: Path) -> Path:
    frames = folder / "frames"
    frames.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(frames / f"{number:03d}.png")
    return frames


def test_a_clip_is_tracked_without_a_mask(
    red: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from vostrack.cli import main

    frames = _written(_clip(4), tmp_path)
    words = ["track", "--video", str(frames), "--first-mask", "auto", "--objects", "1"]
    words += ["--preset", "fast", "--output", str(tmp_path / "out"), "--no-overlay"]
    assert main(words) == 0
    assert "proposed, not painted: 1 object" in capsys.readouterr().err
    first = np.asarray(Image.open(tmp_path / "out/masks/000.png"))
    assert _overlap(first == 1, _box(MOVING)) > 0.6


def test_no_more_objects_are_proposed_than_are_allowed(
    red: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from vostrack.cli import main

    frames = _written(_clip(3), tmp_path)
    words = ["track", "--video", str(frames), "--first-mask", "auto", "--objects", "2"]
    words += ["--max-objects", "1", "--preset", "fast", "--no-overlay"]
    assert main([*words, "--output", str(tmp_path / "out")]) == 0
    assert "2 objects stand out; --max-objects keeps the best 1" in capsys.readouterr().err
    for mask in (tmp_path / "out" / "masks").iterdir():
        assert set(np.unique(np.asarray(Image.open(mask))).tolist()) <= {0, 1}
