"""A first mask without a person: what stands out, moves, and stays through the first second."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from vostrack.arrays import BoolArray, FloatArray, UInt8Array
from vostrack.checks import OptionValue
from vostrack.compute.isolation import building
from vostrack.compute.precision import resolve_device
from vostrack.errors import InputError
from vostrack.masks.validation import FirstMask
from vostrack.proposers.motion import dense_flow, motion_contrast, warped_back
from vostrack.proposers.registry import build_proposer
from vostrack.tracking.proposal_checks import asked
from vostrack.video import FrameSource, open_source
from vostrack.wording import counted

if TYPE_CHECKING:
    from vostrack.models.foreground import SegmentationNet
    from vostrack.protocols import InstanceProposer

__all__ = [
    "Candidate",
    "NothingFoundError",
    "foreground_probability",
    "propose_first_mask",
    "rank_candidates",
]

# The longest side that regions are found and compared at, pixels: edges of 480p stay exact.
_LONGEST = 854
# Optical flow at this longest side takes milliseconds and still shows a limb's motion, pixels.
_FLOW_LONGEST = 320
# The first frame is compared with these shares of the first second: near ones show the motion of
# fast objects, far ones that of slow objects. Beyond half a second the flow is often lost.
_SHARES = (0.08, 0.16, 0.32)
# Regions are cut out of the evidence at these probabilities.
_CUTS = (0.3, 0.5, 0.7)
# From a share of the frame of 2 % on, a region is as likely an object as a larger one.
_FULL_SIZE = 0.02
# A region over more than this share of the frame is rather the background.
_LARGEST = 0.4
_SMALLEST = 0.001
# Two regions that overlap more than this are one object.
_SAME = 0.3
# Without a number of objects, regions this good compared with the best one are taken.
_NEXT_BEST = 0.6
_MOST_UNASKED = 5


@dataclass(frozen=True)
class Candidate:
    """A region of the first frame that may be an object.

    Attributes:
        mask: (H, W) bool.
        score: how likely it is the object that a person would mark, in [0, 1].
        foreground: how much it stands out from what surrounds it, in [0, 1].
        motion: how much more it moves than what surrounds it, in [0, 1].
        stability: how well it is found again in the next frames, in [0, 1].
    """

    mask: BoolArray
    score: float
    foreground: float
    motion: float
    stability: float


class NothingFoundError(InputError):
    """No object stands out, so that there is nothing to propose."""


@building()
def propose_first_mask(
    video: str | Path | int | FrameSource | Iterable[Any],
    *,
    objects: int | None = None,
    proposer: str = "none",
    proposer_options: Mapping[str, OptionValue] | None = None,
    device: str = "auto",
) -> FirstMask:
    """Find the objects of a video that a person would probably mark in its first frame.

    Regions of the first frame are ranked by four things: how much they stand out for the foreground
    model, how much they move against the background, how well they are found again in the frames of
    the first second, and their size. Check the result before long work: the foreground model knows
    people, animals and vehicles best.

    Args:
        video: an open source, or what ``open_source`` takes; a one-way iterable is used up.
        objects: how many, 1 to 254, if there are so many; None: those nearly as good as the best,
            at most 5.
        proposer: one of ``vostrack.proposers.registry.PROPOSERS``, whose proposals are ranked
            beside the regions of the foreground, or ``none``.
        proposer_options: its options, by name.
        device: ``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:N``.

    Returns:
        The mask at the size of the video; the best object has the id 1. ``names`` state the scores.

    Raises:
        NothingFoundError: no object stands out.
        InputError: the video cannot be read, or a value is out of its range.
    """
    from vostrack.models.weights import load_network, shipped_weights

    if objects is not None and not 1 <= objects <= 254:
        raise InputError(f"objects: expected 1 to 254, got {objects}")
    on = resolve_device(device)
    built = build_proposer(proposer, on, options=proposer_options)
    frames = _first_second(video)
    network = load_network(shipped_weights()).eval().to(on)
    candidates = rank_candidates(frames, network, built)
    chosen = _choose(candidates, objects)
    if not chosen:
        raise NothingFoundError(
            "first mask auto: no object stands out in the first frame and the second after it; "
            "paint a first mask, or start at another frame with `start`"
        )
    return _as_first_mask(chosen, frames[0].shape[:2], objects)


def rank_candidates(
    frames: Sequence[UInt8Array], network: SegmentationNet, proposer: InstanceProposer | None = None
) -> list[Candidate]:
    """Rank the regions of the first frame that may be objects.

    Args:
        frames: the first frame and some after it, (H, W, 3) uint8 RGB, of one size.
        network: a foreground model in evaluation mode.
        proposer: its proposals are ranked, too.

    Returns:
        The candidates, best first, with masks at the working size: at most 854 pixels long.

    Raises:
        InputError: the proposer fails, or its answer is unfit.
    """
    small = [_shrunk(frame, _LONGEST) for frame in frames]
    chances = [foreground_probability(network, frame) for frame in small]
    moving, found_again = _over_time(small, chances)
    evidence = (chances[0], _with_motion(chances[0], moving))
    masks = [mask for values in evidence for cut in _CUTS for mask in _regions(values, cut)]
    if proposer is not None:
        found = asked(proposer, small[0], lambda own: proposer.propose(own, chances[0].copy()))
        masks += list(found.masks)
    scored = [_judge(mask, chances[0], moving, found_again) for mask in masks]
    return sorted(scored, key=lambda candidate: -candidate.score)


def _first_second(video: Any) -> list[UInt8Array]:
    """Read the first frame and three of the first second; fewer where the video is short."""
    kept: list[UInt8Array] = []
    with open_source(video) if not isinstance(video, FrameSource) else nullcontext(video) as source:
        rate = source.frame_rate or 25
        wanted = [0, *(max(n, round(float(rate) * s)) for n, s in enumerate(_SHARES, 1))]
        for position, frame in enumerate(source):
            if position in wanted:
                kept.append(frame.image)
            if position >= wanted[-1]:
                break
    return kept


def _shrunk(frame: UInt8Array, longest: int) -> UInt8Array:
    height, width = frame.shape[:2]
    if max(height, width) <= longest:
        return frame
    share = longest / max(height, width)
    size = (max(round(width * share), 1), max(round(height * share), 1))
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)


def foreground_probability(network: SegmentationNet, frame: UInt8Array) -> FloatArray:
    """Return what a foreground model finds in a frame.

    Args:
        network: a foreground model in evaluation mode.
        frame: (H, W, 3) uint8 RGB.

    Returns:
        (H, W) float32 in [0, 1], the probability of each pixel to be foreground.
    """
    import torch

    image = torch.from_numpy(np.ascontiguousarray(frame)).to(network.mean.device)
    with torch.inference_mode():
        logits = network(image.permute(2, 0, 1)[None].float() / 255)
        chance: FloatArray = logits.softmax(1)[0, 1].cpu().numpy()
    return chance


def _over_time(
    frames: Sequence[UInt8Array], chances: Sequence[FloatArray]
) -> tuple[FloatArray, list[FloatArray]]:
    """Return the motion (H, W) in [0, 1], and the later foregrounds brought to the first frame."""
    size = frames[0].shape[1], frames[0].shape[0]
    small = [_shrunk(frame, _FLOW_LONGEST) for frame in frames]
    moving, back = [], []
    for frame, chance in zip(small[1:], chances[1:], strict=True):
        flow = dense_flow(small[0], frame)
        moving.append(cv2.resize(motion_contrast(flow), size, interpolation=cv2.INTER_LINEAR))
        scale = np.array([size[0] / flow.shape[1], size[1] / flow.shape[0]], np.float32)
        full = cv2.resize(flow, size, interpolation=cv2.INTER_LINEAR) * scale
        back.append(warped_back(chance, full))
    if not moving:
        return np.zeros(size[::-1], np.float32), []
    return np.mean(moving, axis=0), back


def _with_motion(chance: FloatArray, moving: FloatArray) -> FloatArray:
    """Let motion shift the foreground: by 2.6 where it is certain, by -1.4 where there is none."""
    limited = chance.clip(1e-3, 1 - 1e-3)
    shifted = np.log(limited / (1 - limited)) + 4 * (moving - 0.35)
    return np.asarray(1 / (1 + np.exp(-shifted)), np.float32)


def _regions(values: FloatArray, cut: float) -> list[BoolArray]:
    count, numbered, stats, _ = cv2.connectedComponentsWithStats((values >= cut).astype(np.uint8))
    least = _SMALLEST * values.size
    return [numbered == k for k in range(1, count) if stats[k, cv2.CC_STAT_AREA] >= least]


def _judge(
    mask: BoolArray, chance: FloatArray, moving: FloatArray, later: Sequence[FloatArray]
) -> Candidate:
    share = float(mask.mean())
    if not share:
        return Candidate(mask, 0.0, 0.0, 0.0, 0.0)
    # Where a region's surroundings are looked at: as far as 1/21 of the frame's height.
    reach = 2 * (mask.shape[0] // 42) + 3
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    around = (cv2.dilate(mask.astype(np.uint8), ellipse) > 0) & ~mask

    def outside(values: FloatArray) -> float:
        return float(values[around].mean()) if around.any() else 0.0

    foreground = max(float(chance[mask].mean()) - 0.5 * outside(chance), 0.0)
    motion = max(float(moving[mask].mean()) - outside(moving), 0.0)
    inside = chance[mask]
    again = [
        float(np.minimum(inside, v[mask]).sum() / np.maximum(inside, v[mask]).sum()) for v in later
    ]
    stability = float(np.mean(again)) if again else 1.0
    size = min(1.0, (share / _FULL_SIZE) ** 0.5, _LARGEST / share)
    # Motion counts most. Objects that stand still must win by the rest.
    score = foreground * (0.1 + 0.9 * motion) * (0.3 + 0.7 * stability) * size
    return Candidate(mask, score, foreground, motion, stability)


def _choose(candidates: Sequence[Candidate], objects: int | None) -> list[Candidate]:
    """Take the best that do not overlap."""
    chosen: list[Candidate] = []
    for candidate in candidates:
        if candidate.score <= 0 or len(chosen) == (objects or _MOST_UNASKED):
            break
        if objects is None and candidate.score < _NEXT_BEST * candidates[0].score:
            break
        area = candidate.mask.sum()
        shared = [(candidate.mask & other.mask).sum() for other in chosen]
        smaller = [min(area, other.mask.sum()) for other in chosen]
        if all(s <= _SAME * a for s, a in zip(shared, smaller, strict=True)):
            chosen.append(candidate)
    return chosen


def _as_first_mask(
    chosen: Sequence[Candidate], size: tuple[int, ...], objects: int | None
) -> FirstMask:
    labels = np.zeros(chosen[0].mask.shape, np.uint8)
    for number in range(len(chosen), 0, -1):  # the best on top
        labels[chosen[number - 1].mask] = number
    full = cv2.resize(labels, (size[1], size[0]), interpolation=cv2.INTER_NEAREST)
    shown = counted(len(chosen), "object")
    warnings = [f"the first mask was proposed, not painted: {shown}; look at it"]
    if objects is not None and len(chosen) < objects:
        warnings.append(f"{objects} objects were asked for, {len(chosen)} stand out")
    names = tuple(f"proposal {n} ({c.score:.2f})" for n, c in enumerate(chosen, 1))
    return FirstMask(
        np.asarray(full, np.uint8), tuple(range(1, len(chosen) + 1)), names, tuple(warnings)
    )
