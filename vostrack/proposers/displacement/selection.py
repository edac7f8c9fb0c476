"""From instances on the grid of cells to masks at full size (eq. 13, 17 and 18)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from vostrack.arrays import BoolArray, DoubleArray, IntArray
from vostrack.errors import InputError
from vostrack.proposers.displacement.centres import CellInstances
from vostrack.proposers.displacement.losses import affinity
from vostrack.proposers.displacement.options import DisplacementOptions
from vostrack.proposers.displacement.pairs import half_disc_offsets
from vostrack.protocols import InstanceProposals
from vostrack.refine.random_walk import RandomWalkConfig, random_walk

__all__ = [
    "Candidates",
    "Edges",
    "SelectionConfig",
    "score_maps",
    "select_instances",
    "spread_scores",
]

Edges = Literal["mask", "walk"]

# So many maps are enlarged at a time.
_AT_ONCE = 16
# The accuracy of the random walk, relative to the highest score.
_NOTHING = 1e-6


@dataclass(frozen=True)
class SelectionConfig:
    """How masks are made of score maps.

    Attributes:
        radius: of the links of the random walk, in cells (the paper: 5).
        walk: how far the walk goes.
        margin: the walk may leave the objects by so many cells.
        edges: ``mask``: an instance consists of pixels of its class in the semantic mask, each of
            which goes to the instance of that class with the highest score. ``walk``: pixels go to
            the instance with the highest score of all, or to the background where that is below
            ``background`` (Ahn et al. 2019).
        background: score of the background with ``walk``, relative to the highest of all.
        split: whether each connected component of a result is an instance of its own.
        min_pixels: smaller instances are left out.
        half_score: an instance that covers this share of the image gets half its score; larger
            ones more, smaller ones less.
        max_proposals: at most so many, the best first.
    """

    radius: float = 5.0
    walk: RandomWalkConfig = field(default_factory=RandomWalkConfig)
    margin: int = 2
    edges: Edges = DisplacementOptions.edges
    background: float = 0.25
    split: bool = DisplacementOptions.split
    min_pixels: int = DisplacementOptions.min_pixels
    half_score: float = DisplacementOptions.half_score
    max_proposals: int = DisplacementOptions.max_proposals

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: one is out of its range.
        """
        if self.edges not in get_args(Edges):
            raise InputError(f"edges: expected mask or walk, got {self.edges!r}")
        if not 0 <= self.background <= 1:
            raise InputError(f"background: expected a value in [0, 1], got {self.background}")
        if self.half_score < 0 or self.margin < 0:
            raise InputError(
                "half_score and margin: expected at least 0, got "
                f"{self.half_score} and {self.margin}"
            )
        for name in ("min_pixels", "max_proposals"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: expected at least 1, got {getattr(self, name)}")
        half_disc_offsets(self.radius)


class Candidates(NamedTuple):
    """The score maps from which masks are made.

    Attributes:
        maps: (K, h, w) score maps, at least 0.
        classes: (K,) int64 class of each.
        pieces: (K,) int64 number of the piece of the semantic mask that each lies in. Pieces
            without a candidate are left out.
        certainty: (K,) float, factors on their scores.
    """

    maps: Tensor
    classes: IntArray
    pieces: IntArray
    certainty: DoubleArray


def score_maps(instances: CellInstances, probabilities: Tensor) -> Tensor:
    """Compute M_c,k(x) = I_k(x) p_c(x) (eq. 13).

    Args:
        instances: K of them, on (h, w) cells.
        probabilities: (L, h, w) of the classes, in [0, 1].

    Returns:
        (K, h, w) in [0, 1].
    """
    device = probabilities.device
    numbers = torch.from_numpy(instances.numbers).to(device)
    classes = torch.from_numpy(instances.classes).to(device)
    own = torch.arange(1, len(classes) + 1, device=device).view(-1, 1, 1) == numbers
    return own * probabilities[classes]


@torch.no_grad()
def spread_scores(maps: Tensor, boundary: Tensor, config: SelectionConfig) -> Tensor:
    """Spread the score maps along the affinities, damped at boundaries (eq. 15, 17 and 18).

    Args:
        maps: (K, h, w) in [0, 1].
        boundary: (h, w) in [0, 1].
        config: how.

    Returns:
        (K, h, w), zero further than the margin from every object.
    """
    size = boundary.shape
    offsets = [
        o for o in half_disc_offsets(config.radius) if o[0] < size[0] and abs(o[1]) < size[1]
    ]
    affinities = [affinity(boundary, offset) for offset in offsets]
    active = maps.amax(0) > 0
    if config.margin:
        side = 2 * config.margin + 1
        grown = F.max_pool2d(active[None, None].to(maps.dtype), side, 1, config.margin)
        active = grown[0, 0] > 0
    damped = maps * (1 - boundary)
    return random_walk(damped, affinities, offsets, config.walk, active=active)


@torch.no_grad()
def select_instances(
    candidates: Candidates,
    pieces: Tensor,
    probabilities: Tensor,
    config: SelectionConfig,
) -> InstanceProposals:
    """Give every pixel at full size to the instance with the highest score.

    Args:
        candidates: K of them.
        pieces: (H, W) number of the piece of the semantic mask, 0 for none.
        probabilities: (L, H, W) of the classes, in [0, 1].
        config: how.

    Returns:
        Masks that do not overlap. A score is the mean probability of the class over the mask, times
        a / (a + half_score) where a is the share of the image that the mask covers, times the
        candidate's certainty.
    """
    maps, classes, members, certainty = candidates
    size = tuple(pieces.shape)
    if len(classes) == 0:
        return _proposals([], config, size)
    if config.edges == "walk":
        owner = _owner_by_score(maps, size, config.background)
    else:
        owner = _owner_by_mask(maps, members, pieces)
    numbers = owner.to(torch.int32).cpu().numpy()
    found = []
    for index, part in enumerate(ndimage.find_objects(numbers, len(classes))):
        class_id = int(classes[index])
        for piece in [] if part is None else _pieces(numbers[part] == index + 1, part, config):
            inside = torch.from_numpy(piece.mask).to(pieces.device)
            mean = float(probabilities[class_id][piece.part][inside].mean())
            share = float(np.count_nonzero(piece.mask) / numbers.size)
            weight = float(certainty[index]) * share / (share + config.half_score)
            found.append((piece, mean * weight, class_id))
    return _proposals(found, config, size)


def _best_of(maps: Tensor, size: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return the highest of enlarged maps at every pixel, and its number; few maps at a time."""
    best = maps.new_full(size, -1.0)
    winner = torch.zeros(size, dtype=torch.int64, device=maps.device)
    for start in range(0, len(maps), _AT_ONCE):
        part = maps[start : start + _AT_ONCE][None]
        value, number = F.interpolate(part, size, mode="bilinear", align_corners=False)[0].max(0)
        winner = torch.where(value > best, number + start, winner)
        best = torch.maximum(best, value)
    return best, winner


def _owner_by_mask(maps: Tensor, members: IntArray, pieces: Tensor) -> Tensor:
    """Number of the best instance of the pixel's own piece, (H, W), 0 for none."""
    owner = torch.zeros_like(pieces, dtype=torch.int64)
    for piece in np.unique(members).tolist():
        own = np.flatnonzero(members == piece)
        inside = pieces == piece
        if len(own) == 1:
            owner[inside] = int(own[0]) + 1
            continue
        index = torch.from_numpy(own).to(pieces.device)
        best, winner = _best_of(maps[index], pieces.shape)
        nearest = _nearest_owner(maps[index], pieces.shape)
        owner[inside] = index[torch.where(best > _NOTHING, winner, nearest)[inside]] + 1
    return owner


def _nearest_owner(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    """Index of the instance nearest to every pixel, for thin parts that the cells miss."""
    best, winner = maps.max(0)
    empty = (best <= _NOTHING).cpu().numpy()
    if empty.any() and not empty.all():
        rows, columns = ndimage.distance_transform_edt(
            empty, return_distances=False, return_indices=True
        )
        at = torch.from_numpy(np.stack([rows, columns])).to(maps.device)
        winner = winner[at[0], at[1]]
    return F.interpolate(winner[None, None].float(), size, mode="nearest-exact")[0, 0].long()


def _owner_by_score(maps: Tensor, size: tuple[int, ...], background: float) -> Tensor:
    """Number of the best instance of all, (H, W), 0 where the background is better."""
    best, owner = _best_of(maps / maps.amax().clamp(min=1e-12), size)
    return torch.where(best > background, owner + 1, 0)


class _Piece(NamedTuple):
    """A mask within a part of the image."""

    part: tuple[slice, slice]
    mask: BoolArray


def _pieces(mask: BoolArray, part: tuple[slice, slice], config: SelectionConfig) -> list[_Piece]:
    """Return the pieces of a mask that are large enough.

    Args:
        mask: (h, w), what lies in ``part`` of the image.
        part: rows and columns.
        config: whether pieces are separated, and their smallest size.
    """
    if not config.split:
        return [_Piece(part, mask)] if np.count_nonzero(mask) >= config.min_pixels else []
    _, numbered, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    top, left = part[0].start, part[1].start
    found = []
    for k, (x, y, width, height, area) in enumerate(stats.tolist()):
        if k == 0 or area < config.min_pixels:
            continue
        own = numbered[y : y + height, x : x + width] == k
        rows, columns = slice(top + y, top + y + height), slice(left + x, left + x + width)
        found.append(_Piece((rows, columns), own))
    return found


def _proposals(
    found: list[tuple[_Piece, float, int]],
    config: SelectionConfig,
    size: tuple[int, ...],
) -> InstanceProposals:
    kept = sorted(found, key=lambda item: -item[1])[: config.max_proposals]
    masks = np.zeros((len(kept), *size), dtype=np.bool_)
    for mask, (piece, _, _) in zip(masks, kept, strict=True):
        mask[piece.part] = piece.mask
    return InstanceProposals(
        masks=masks,
        scores=np.array([score for _, score, _ in kept], dtype=np.float32),
        labels=np.array([class_id for _, _, class_id in kept], dtype=np.int64),
        boxes=np.array([_box(mask) for mask in masks], dtype=np.float32).reshape(-1, 4),
    )


def _box(mask: BoolArray) -> tuple[int, int, int, int]:
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return x, y, x + width, y + height
