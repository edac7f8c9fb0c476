"""Sums over samples of similar colour, for all pixels of a grid cell together.

The pixels of a cell share their samples. Their colour distances are then a product of matrices, and
the weighted sums are another one, which libraries compute close to a processor's peak.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["similar_by_cell"]

# Weights computed at a time, half a megabyte: they stay in the cache between the passes.
_WEIGHTS = 1 << 17


class _Cells(NamedTuple):
    """The cells that have pixels, those with the most pixels first.

    Attributes:
        rows: (U,) in the grid of samples.
        columns: (U,)
        members: (U, most) numbers of their pixels, padded with P at the end.
        counts: pixels of each.
    """

    rows: Tensor
    columns: Tensor
    members: Tensor
    counts: list[int]


def similar_by_cell(
    colours: Tensor, samples: Tensor, rows: Tensor, columns: Tensor, fade: Tensor, inverse: float
) -> Tensor:
    """Average the values of samples with colours similar to some pixels.

    Args:
        colours: (3, P) float32 in [0, 1], of the pixels.
        samples: (4, h, w) float32: colours in [0, 1] of the samples, then their values.
        rows: (P,) int64, row of each pixel's cell in the grid of samples, on the CPU.
        columns: (P,) int64, its column, on the CPU.
        fade: (2 radius + 1,) weight of a sample by its distance along one axis, in cells.
        inverse: the weight of a sample at colour distance d is ``max(0, 1 - inverse d²)⁴``.

    Returns:
        (P,) float32; 0 where no sample is similar.
    """
    # One pixel more, which fills up the cells.
    result = torch.zeros(len(rows) + 1, device=samples.device)
    if not len(rows) or 0 in samples.shape:
        return result[:-1]
    windows = _windows(samples, len(fade), inverse)
    fades = fade[:, None] * fade
    pixels = F.pad(_pixels(colours, inverse), (0, 0, 0, 1))
    cells = _grouped(rows, columns)
    start = 0
    while start < len(cells.counts):
        most = cells.counts[start]
        stop = start + max(1, _WEIGHTS // (most * fades.numel()))
        members = cells.members[start:stop, :most]
        window = _picked(windows, cells.rows[start:stop], cells.columns[start:stop])
        faded = (window[:, 4:] * fades).flatten(2)
        weights = torch.bmm(pixels[members], window[:, :5].flatten(2))
        weights = weights.clamp_(min=0).square_().square_()
        # In this order the product takes half of the time: it has two rows, not two columns.
        sums = torch.bmm(faded, weights.mT)
        result[members] = sums[:, 1] / (sums[:, 0] + 1e-6)
        start = stop
    return result[:-1]


def _windows(samples: Tensor, side: int, inverse: float) -> Tensor:
    """Return a view (h + 1, w + 1, 6, side, side) of the samples around each cell.

    1 - inverse |p - c|² is the product of (2 inverse p, 1, 1 - inverse |p|²) and
    (c, -inverse |c|², 1). The last two maps are these ones, zero outside, and the values.
    """
    centred, values = samples[:3] - 0.5, samples[3:]
    ones = torch.ones_like(values)
    lengths = -inverse * centred.square().sum(0, keepdim=True)
    maps = torch.cat([centred, lengths, ones, values])
    # The last pixels of an image can lie in a cell without a sample.
    radius = side // 2
    padded = F.pad(maps, (radius, radius + 1, radius, radius + 1))
    return padded.unfold(1, side, 1).unfold(2, side, 1).permute(1, 2, 0, 3, 4)


def _picked(windows: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Copy the windows (U, 6, side, side) of some cells; numpy takes a third of torch's time."""
    if windows.device.type != "cpu":
        return windows[rows, columns]
    return torch.from_numpy(windows.numpy()[rows.numpy(), columns.numpy()])


def _pixels(colours: Tensor, inverse: float) -> Tensor:
    """Return (P, 5), the other factor of the product."""
    centred = (colours - 0.5).T
    lengths = 1 - inverse * centred.square().sum(1, keepdim=True)
    return torch.cat([2 * inverse * centred, torch.ones_like(lengths), lengths], dim=1)


def _grouped(rows: Tensor, columns: Tensor) -> _Cells:
    width = columns.max() + 1
    numbers, order = torch.sort(rows * width + columns, stable=True)
    cells, counts = torch.unique_consecutive(numbers, return_counts=True)
    begins = counts.cumsum(0) - counts
    by_size = torch.argsort(counts, descending=True, stable=True)
    cells, counts, begins = cells[by_size], counts[by_size], begins[by_size]
    places = torch.arange(int(counts[0]), device=rows.device)
    members = torch.where(
        places < counts[:, None],
        order[(begins[:, None] + places).clamp(max=len(order) - 1)],
        len(order),
    )
    return _Cells(cells // width, cells % width, members, counts.tolist())
