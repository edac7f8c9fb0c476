"""From a displacement field to instances: follow it, find the centres, assign (eq. 11 to 13)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from vostrack.arrays import AnyArray, BoolArray, DoubleArray, IntArray
from vostrack.errors import InputError

__all__ = ["CellInstances", "CentreConfig", "find_instances", "follow_field"]


# In cells; 100 such moves change the nearest cell of only a few points.
_AT_REST = 1e-3


@dataclass(frozen=True)
class CentreConfig:
    """How instances are found.

    Attributes:
        moves: number of moves of a cell along the field (the paper: u up to 99, thus 100 moves).
        centre: cells with a displacement shorter than this are centres, in cells.
        reach: a cell that comes to rest further than this from every centre of its class belongs
            to none. Such cells form instances of their own, by their resting points. In cells.
        min_cells: centres that fewer cells reach are dropped if another centre of their class
            remains to take these cells.
    """

    moves: int = 100
    centre: float = 2.5
    reach: float = 6.0
    min_cells: int = 6

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: one is out of its range.
        """
        if self.moves < 0 or not self.centre > 0 or self.reach < 0 or self.min_cells < 0:
            raise InputError(f"centres: expected numbers of at least 0, centre over 0, got {self}")


@dataclass(frozen=True)
class CellInstances:
    """The instances on the grid of cells.

    Attributes:
        numbers: (h, w) int64, 1..K the instance of a cell, 0 for none.
        classes: (K,) int64 class of each.
        centres: (h, w) bool, the cells of the centres, for their visualization.
        rests: (K, 2) float64, the mean resting point (y, x) of the cells of each instance.
    """

    numbers: IntArray
    classes: IntArray
    centres: BoolArray
    rests: DoubleArray


@torch.no_grad()
def follow_field(field: Tensor, inside: Tensor, moves: int) -> Tensor:
    """Follow the field from every cell of one class (eq. 11).

    D_u+1(x) = D_u(x) + D(x + D_u(x)): a point moves by the field at its position, read
    bilinearly, and never leaves the grid. Outside its class the field is zero. So a point that
    leaves its object rests there and is not carried off by another one.

    Args:
        field: (2, h, w) displacement (dy, dx), in cells.
        inside: (h, w) bool, the cells of the class.
        moves: number of moves.

    Returns:
        (P, 2) resting point (y, x) of each cell of ``inside``, in the order of the cells.
    """
    height, width = field.shape[-2:]
    masked = (field * inside)[None]
    points = inside.nonzero().to(field.dtype)
    last = field.new_tensor([height - 1, width - 1])
    scale = 2 / last.clamp(min=1)
    for _ in range(moves):
        grid = (points * scale - 1).flip(1)[None, None]
        step = F.grid_sample(masked, grid, align_corners=True, padding_mode="border")
        before, points = points, (points + step[0, :, 0].T).clamp(min=0).minimum(last)
        # Most points are at rest after a few moves. Checking would stall a GPU.
        if points.device.type == "cpu" and bool((points - before).abs().amax() < _AT_REST):
            break
    return points


def find_instances(
    field: Tensor, labels: Tensor, config: CentreConfig | None = None, *, void: int = 255
) -> CellInstances:
    """Find the instances of every class.

    Args:
        field: (2, h, w) displacement without its free constant, in cells.
        labels: (h, w) integers: 0 background, all others classes or pieces of classes.
        config: how.
        void: the label of unlabelled cells.

    Raises:
        InputError: the shapes differ.
    """
    config = config or CentreConfig()
    if field.shape != (2, *labels.shape):
        raise InputError(
            f"field: expected (2, {labels.shape[0]}, {labels.shape[1]}), got {tuple(field.shape)}"
        )
    numbers = np.zeros(labels.shape, dtype=np.int64)
    centres = np.zeros(labels.shape, dtype=np.bool_)
    classes: list[int] = []
    means: list[DoubleArray] = []
    for class_id in torch.unique(labels).tolist():
        if class_id in (0, void):
            continue
        inside = labels == class_id
        rests = follow_field(field, inside, config.moves).cpu().numpy()
        near = (field.norm(dim=0) < config.centre) & inside
        found = _assign(rests, near.cpu().numpy(), config)
        mask = inside.cpu().numpy()
        numbers[mask] = found + len(classes)
        sizes = np.bincount(found)[1:, None]
        means.append(np.stack([np.bincount(found, axis)[1:] for axis in rests.T], axis=1) / sizes)
        classes += [int(class_id)] * int(found.max(initial=0))
        centres |= near.cpu().numpy()
    ends = np.concatenate(means) if means else np.zeros((0, 2))
    return CellInstances(numbers, np.array(classes, dtype=np.int64), centres, ends)


def _assign(rests: AnyArray, near: BoolArray, config: CentreConfig) -> IntArray:
    """Number the cells of one class by the centre they reach (eq. 12).

    Args:
        rests: (P, 2) resting points (y, x).
        near: (h, w), the cells with small displacement.
        config: how.

    Returns:
        (P,) 1..K.
    """
    count, components = cv2.connectedComponents(near.astype(np.uint8), connectivity=4)
    spots = np.rint(rests).astype(np.int64)
    chosen, distance = _nearest(components, spots)
    stray = distance > config.reach
    if stray.any():
        # Points that rest far from any centre: those that rest together belong together.
        occupied = np.zeros(near.shape, dtype=np.uint8)
        occupied[tuple(spots[stray].T)] = 1
        occupied = np.asarray(cv2.dilate(occupied, np.ones((5, 5), np.uint8)), dtype=np.uint8)
        _, groups = cv2.connectedComponents(occupied, connectivity=8)
        at_rest = groups[tuple(spots[stray].T)]
        chosen[stray] = count - 1 + at_rest
        components = np.where(components > 0, components, 0).astype(np.int64)
        for group in np.unique(at_rest):
            components[(groups == group) & (components == 0)] = count - 1 + group
    sizes = np.bincount(chosen, minlength=int(chosen.max(initial=0)) + 1)
    weak = (sizes > 0) & (sizes < config.min_cells)
    strong = (sizes >= max(config.min_cells, 1)).nonzero()[0]
    lost = weak[chosen]
    if lost.any() and len(strong):
        kept = np.where(np.isin(components, strong), components, 0)
        chosen[lost] = _nearest(kept, spots[lost])[0]
    return np.asarray(np.unique(chosen, return_inverse=True)[1] + 1, dtype=np.int64)


def _nearest(components: AnyArray, spots: IntArray) -> tuple[IntArray, AnyArray]:
    """Return the component nearest to each spot, and its distance; infinity without components."""
    if not components.any():
        return np.zeros(len(spots), dtype=np.int64), np.full(len(spots), np.inf)
    distance, (rows, columns) = ndimage.distance_transform_edt(components == 0, return_indices=True)
    at = tuple(spots.T)
    nearest = components[rows[at], columns[at]]
    return nearest.astype(np.int64), distance[at]
