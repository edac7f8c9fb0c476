"""The losses of displacement field and class boundary (eq. 4 to 6, 9, 10, 15, 16 and 19).

They read regions: maps of integers on the grid of cells. A pair of cells in the same region
belongs together. With the classes as regions, these are the equations of the paper. Where a scene
is composed of several pieces of one class, each piece may be a region of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from vostrack.errors import InputError
from vostrack.proposers.displacement.pairs import Offset, pair_slices, path_maximum

__all__ = [
    "BACKGROUND",
    "VOID_REGION",
    "affinity",
    "boundary_loss",
    "centre_loss",
    "centre_targets",
    "displacement_losses",
]

BACKGROUND = 0
VOID_REGION = -1
"""The region of cells that are ignored; a pair whose path meets one is left out."""

_EPSILON = 1e-5


def affinity(boundary: Tensor, offset: Offset) -> Tensor:
    """Compute the confidence that the two ends of every pair belong together (eq. 15).

    Args:
        boundary: (..., H, W) in [0, 1], 1 on a boundary.
        offset: (dy, dx) of the pairs.

    Returns:
        (..., H - dy, W - |dx|) in [0, 1]: 1 where no boundary lies on the path.
    """
    return 1 - path_maximum(boundary, offset)


def displacement_losses(
    field: Tensor, regions: Tensor, offsets: Sequence[Offset]
) -> tuple[Tensor, Tensor]:
    """Compute the losses of foreground pairs (eq. 9) and background pairs (eq. 10).

    Args:
        field: (B, 2, H, W) displacement (dy, dx), in cells.
        regions: (B, H, W) integers: 0 background, -1 void.
        offsets: the pairs; see ``half_disc_offsets``.

    Returns:
        Two scalars in cells: the mean over pairs and both components of the absolute error.

    Raises:
        InputError: the shapes differ.
    """
    _check_shapes(field, regions, "field")
    zero = field.new_zeros(())
    foreground, background = [zero], [zero]
    foreground_pairs, background_pairs = [zero], [zero]
    for kind in _kinds(regions, offsets):
        source = pair_slices(field, kind.offset, (0, 0))
        target = pair_slices(field, kind.offset, kind.offset)
        change = source - target
        wanted = field.new_tensor(kind.offset).view(2, 1, 1)
        # Both displacements end at the same point: x_i + D_i = x_j + D_j (eq. 8).
        foreground.append(((change - wanted).abs().sum(1) * kind.foreground).sum())
        background.append((change.abs().sum(1) * kind.background).sum())
        foreground_pairs.append(kind.foreground.sum().to(field.dtype))
        background_pairs.append(kind.background.sum().to(field.dtype))
    return (
        _mean_of(foreground, foreground_pairs, components=2),
        _mean_of(background, background_pairs, components=2),
    )


def centre_targets(regions: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the displacement of every cell to the centre of its region (eq. 7).

    Args:
        regions: (B, H, W) integers: 0 background, -1 void.

    Returns:
        (B, 2, H, W) as (dy, dx), in cells, zero outside of objects; and weights (B, H, W):
        1 / sqrt(area) inside of objects, so that a region counts with the root of its area, and
        zero outside.
    """
    batch, height, width = regions.shape
    inside = regions > BACKGROUND
    offset = regions + torch.arange(batch, device=regions.device).view(-1, 1, 1) * 2**32
    _, number = torch.unique(offset[inside], return_inverse=True)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    place = torch.stack([y, x]).to(regions.device, torch.float32)
    points = place.expand(batch, 2, height, width).movedim(1, -1)[inside]
    area = torch.bincount(number).to(torch.float32)
    centres = torch.zeros(len(area), 2, device=regions.device).index_add_(0, number, points)
    centres = centres / area[:, None]
    targets = torch.zeros(batch, height, width, 2, device=regions.device)
    targets[inside] = centres[number] - points
    weights = torch.zeros(batch, height, width, device=regions.device)
    weights[inside] = area[number].rsqrt()
    return targets.movedim(-1, 1), weights


def centre_loss(field: Tensor, regions: Tensor) -> Tensor:
    """Compute the error of the displacement to the centres of regions (eq. 7).

    Useful for regions that are objects, as in composed scenes.

    Args:
        field: (B, 2, H, W) displacement (dy, dx), in cells.
        regions: (B, H, W) integers: 0 background, -1 void.

    Returns:
        A scalar in cells: the mean over cells of objects, weighted, and both components of the
        absolute error.
    """
    _check_shapes(field, regions, "field")
    targets, weights = centre_targets(regions)
    error = (field - targets).abs().sum(1) * weights
    return error.sum() / (2 * weights.sum() + _EPSILON)


def boundary_loss(boundary: Tensor, regions: Tensor, offsets: Sequence[Offset]) -> Tensor:
    """Compute the class-balanced cross-entropy of the affinities (eq. 16).

    Args:
        boundary: (B, 1, H, W) in [0, 1].
        regions: (B, H, W) integers: 0 background, -1 void.
        offsets: the pairs.

    Returns:
        A scalar: half the mean over foreground pairs, half that over background pairs, and the mean
        over pairs that do not belong together.

    Raises:
        InputError: the shapes differ.
    """
    _check_shapes(boundary, regions, "boundary")
    zero = boundary.new_zeros(())
    sums: dict[str, list[Tensor]] = {name: [zero] for name in ("fg", "bg", "apart")}
    pairs: dict[str, list[Tensor]] = {name: [zero] for name in sums}
    for kind in _kinds(regions, offsets):
        linked = affinity(boundary[:, 0], kind.offset)
        together = -torch.log(linked + _EPSILON)
        apart = -torch.log(1 + _EPSILON - linked)
        for name, cost, chosen in (
            ("fg", together, kind.foreground),
            ("bg", together, kind.background),
            ("apart", apart, kind.apart),
        ):
            sums[name].append((cost * chosen).sum())
            pairs[name].append(chosen.sum().to(boundary.dtype))
    means = {name: _mean_of(sums[name], pairs[name], components=1) for name in sums}
    return 0.5 * means["fg"] + 0.5 * means["bg"] + means["apart"]


class _Kinds:
    """Which pairs of one offset are of which kind (eq. 4 to 6); each (B, H - dy, W - |dx|) bool."""

    def __init__(self, regions: Tensor, void: Tensor | None, offset: Offset) -> None:
        source = pair_slices(regions, offset, (0, 0))
        same = source == pair_slices(regions, offset, offset)
        inside = source == BACKGROUND
        valid = torch.ones_like(same)
        if void is not None:
            valid = path_maximum(void, offset) == 0
        self.offset = offset
        self.foreground = same & ~inside & valid
        self.background = same & inside & valid
        self.apart = ~same & valid


def _kinds(regions: Tensor, offsets: Iterable[Offset]) -> Iterable[_Kinds]:
    void = (regions == VOID_REGION).to(torch.uint8)
    marked = void if bool(void.any()) else None
    height, width = regions.shape[-2:]
    for dy, dx in offsets:
        if dy < height and abs(dx) < width:
            yield _Kinds(regions, marked, (dy, dx))


def _mean_of(sums: list[Tensor], pairs: list[Tensor], *, components: int) -> Tensor:
    count = components * torch.stack(pairs).sum()
    return torch.stack(sums).sum() / (count + _EPSILON)


def _check_shapes(maps: Tensor, regions: Tensor, name: str) -> None:
    channels = {"field": 2, "boundary": 1}[name]
    wanted = (regions.shape[0], channels, *regions.shape[1:])
    if tuple(maps.shape) != wanted:
        raise InputError(
            f"{name}: expected shape {wanted} for regions {tuple(regions.shape)}, "
            f"got {tuple(maps.shape)}"
        )
