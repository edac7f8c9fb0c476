"""Smoothed edges of a mask: detecting them, and assigning their pixels to the nearest object.

Anti-aliasing, feathering, resizing and JPEG put blends of two values along the edges of a mask. The
values that the user painted are called cores here. A blend lies between the two cores that are
nearest in space; how far it lies between them is the alpha of the object.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vostrack.arrays import BoolArray, FloatArray, IntArray, UInt8Array
from vostrack.masks.background import borders_touched

__all__ = ["Edges", "around", "find_cores", "resolve_edges", "solid_pixels"]

# Cores closer than this share of the full range are one value with noise.
_NOISE = 0.06
# A mask is mostly flat; a photograph is not.
_FLAT = 0.5
_BLEND_ERROR = 48.0
_BLENDS = 0.9
_MOST_POINTS = 20000
_MARGIN = 5


@dataclass(frozen=True)
class Edges:
    """A mask whose smoothed edges have been assigned.

    Attributes:
        places: (H, W) uint8; 0 background, k for the core at position k - 1.
        alpha: (K, H, W) float32 in [0, 1], the soft mask of each core.
        blends: number of pixels that had a value between two cores.
    """

    places: UInt8Array
    alpha: FloatArray
    blends: int


def find_cores(
    values: IntArray, pixels: FloatArray, background: int, most: int, *, ordered: bool
) -> IntArray | None:
    """Find the painted values of a mask with smoothed edges.

    Args:
        values: (H, W) integers, one number for each value or colour.
        pixels: (H, W, C) float32, the value or colour of each pixel.
        background: the number of the background.
        most: maximum number of objects.
        ordered: whether ``values`` are brightnesses.

    Returns:
        The numbers of the objects' values, ascending; None if the image is not a mask with smoothed
        edges.
    """
    total = values.size
    window = around(values != background)
    values, pixels, whole = values[window], pixels[window], values
    outside = total - values.size
    levels, first, areas = np.unique(values, return_index=True, return_counts=True)
    solid = np.isin(levels, np.unique(values[solid_pixels(values)]))
    if ordered:
        solid &= ~_sandwiched(values, levels)
    if 2 * np.count_nonzero(~solid) < levels.size or background not in levels:
        return None
    colours = pixels.reshape(-1, pixels.shape[-1])[first]
    reach = float(colours.max() - colours.min())
    order = np.argsort(-areas, kind="stable")
    kept: list[int] = [int(np.flatnonzero(levels == background)[0])]
    for k in order[solid[order]]:
        far = np.abs(colours[kept] - colours[k]).max(axis=1)
        if far.min() > _NOISE * reach:
            kept.append(int(k))
        if len(kept) > most + 1:
            return None
    cores = np.sort(levels[kept[1:]])
    if not cores.size and ordered:
        return _soft_blob(whole, background)
    if not cores.size:
        return None
    flat = np.zeros(values.shape, dtype=bool)
    for colour in colours[kept]:
        flat |= _farthest(pixels, colour) <= _NOISE * reach
    if np.count_nonzero(flat) + outside < _FLAT * total:
        return None
    return cores if ordered or _blends_only(pixels, colours[kept], ~flat) else None


def resolve_edges(values: IntArray, pixels: FloatArray, cores: IntArray, background: int) -> Edges:
    """Assign each pixel between cores to the nearer one in value of the two nearest in space.

    Args:
        values: (H, W) integers, one number for each value or colour.
        pixels: (H, W, C) float32, the value or colour of each pixel.
        cores: K numbers of the objects' values.
        background: the number of the background.
    """
    window = around(values != background)
    part = _resolve(values[window], pixels[window], cores, background)
    places = np.zeros(values.shape, dtype=np.uint8)
    alpha = np.zeros((cores.size, *values.shape), dtype=np.float32)
    places[window] = part.places
    alpha[(slice(None), *window)] = part.alpha
    return Edges(places, alpha, part.blends)


def around(marked: BoolArray) -> tuple[slice, slice]:
    """Return the part of an image outside which nothing is marked, with a margin.

    All that is done to edges looks 4 pixels far at most. The margin belongs to the background, so
    that the nearest background of each pixel lies in it or before it.
    """
    rows, columns = np.flatnonzero(marked.any(axis=1)), np.flatnonzero(marked.any(axis=0))
    if not rows.size:
        return slice(0, marked.shape[0]), slice(0, marked.shape[1])
    return (
        slice(max(int(rows[0]) - _MARGIN, 0), int(rows[-1]) + _MARGIN + 1),
        slice(max(int(columns[0]) - _MARGIN, 0), int(columns[-1]) + _MARGIN + 1),
    )


def _farthest(pixels: FloatArray, colour: FloatArray) -> FloatArray:
    """Return the largest difference to a colour over the channels, (H, W)."""
    far: FloatArray = np.abs(pixels[..., 0] - colour[0])
    for channel in range(1, pixels.shape[-1]):
        np.maximum(far, np.abs(pixels[..., channel] - colour[channel]), out=far)
    return far


def _resolve(values: IntArray, pixels: FloatArray, cores: IntArray, background: int) -> Edges:
    """Assign the pixels of a part of the image that contains all objects."""
    import cv2

    numbers = [background, *cores.tolist()]
    colours = [pixels[values == number][0] for number in numbers]
    known = np.zeros(values.shape, dtype=bool)
    distances = []
    for number in numbers:
        place = values == number
        known |= place
        distances.append(cv2.distanceTransform((~place).view(np.uint8), cv2.DIST_L2, 3))
    near, second = _two_nearest(distances)
    share = _share(pixels, np.stack(colours), near, second)
    share[known & (distances[0] == 0)] = 0
    places = np.where(share >= 0.5, second, near).astype(np.uint8)
    alpha = np.zeros((cores.size, *values.shape), dtype=np.float32)
    for k, number in enumerate(numbers[1:], start=1):
        plane = alpha[k - 1]
        plane[near == k] = 1 - share[near == k]
        plane[second == k] = share[second == k]
        exact = values == number
        alpha[:, exact] = 0
        plane[exact] = 1
        places[exact] = k
    return Edges(places, alpha, int(np.count_nonzero(~known)))


def _share(pixels: FloatArray, table: FloatArray, near: IntArray, second: IntArray) -> FloatArray:
    """Return how far each pixel lies from one core to another, 0..1.

    Args:
        pixels: (H, W, C).
        table: (K, C), the colours of the cores.
        near: (H, W), positions in the table.
        second: (H, W), positions in the table.
    """
    along, length = np.zeros(near.shape, np.float32), np.zeros(near.shape, np.float32)
    for channel in range(pixels.shape[-1]):
        low = table[near, channel]
        span = table[second, channel] - low
        along += (pixels[..., channel] - low) * span
        length += span * span
    return np.clip(along / np.maximum(length, 1e-6), 0, 1).astype(np.float32)


def _two_nearest(distances: list[FloatArray]) -> tuple[IntArray, IntArray]:
    """Return the positions of the two nearest cores, the lower position first."""
    shape = distances[0].shape
    best, second = np.full(shape, np.inf, np.float32), np.full(shape, np.inf, np.float32)
    near, other = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for k, distance in enumerate(distances):
        closer = distance < best
        behind = ~closer & (distance < second)
        other = np.where(closer, near, np.where(behind, k, other))
        second = np.where(closer, best, np.where(behind, distance, second))
        near, best = np.where(closer, k, near), np.where(closer, distance, best)
    return np.minimum(near, other), np.maximum(near, other)


def solid_pixels(values: IntArray) -> BoolArray:
    """Mark the pixels whose eight neighbours have the same value."""
    height, width = values.shape
    padded = np.pad(values, 1, mode="edge")
    same = np.ones(values.shape, dtype=bool)
    for row in range(3):
        for column in range(3):
            same &= padded[row : row + height, column : column + width] == values
    return same


def _sandwiched(values: IntArray, levels: IntArray) -> BoolArray:
    """Mark the levels that touch only the next lower and the next higher one, as steps do.

    Few levels are not judged: an eye with its iris and pupil is a mask, too.
    """
    if levels.size < 6:
        return np.zeros(levels.size, dtype=bool)
    ranks = np.searchsorted(levels, values)
    step, up, down = (np.zeros(levels.size) for _ in range(3))
    for one, two in ((ranks[:-1], ranks[1:]), (ranks[:, :-1], ranks[:, 1:])):
        for a, b in ((one, two), (two, one)):
            differs = a != b
            a, b = a[differs], b[differs]
            step += np.bincount(a[abs(a - b) == 1], minlength=levels.size)
            up += np.bincount(a[b > a], minlength=levels.size)
            down += np.bincount(a[b < a], minlength=levels.size)
    total = np.maximum(up + down, 1)
    return np.asarray((step >= 0.8 * total) & (up >= 0.2 * total) & (down >= 0.2 * total))


def _soft_blob(values: IntArray, background: int) -> IntArray | None:
    """Return the peak of a soft brush stroke without a flat part."""
    import cv2

    peak = int(values.max())
    outside = values == background
    bright = 192 if peak <= 255 else 49152
    if background != values.min() or peak < bright or outside.mean() < 0.2:
        return None
    if borders_touched(outside) < 3:
        return None
    smooth = cv2.blur(values.astype(np.float32), (3, 3))
    rough = np.abs(values - smooth) > 0.06 * peak
    return None if rough.mean() > 0.02 else np.array([peak], dtype=np.int64)


def _blends_only(pixels: FloatArray, cores: FloatArray, between: BoolArray) -> bool:
    """Tell whether nearly all pixels between the cores are blends of two of them."""
    points = pixels[between]
    points = points[:: len(points) // _MOST_POINTS + 1]
    if not len(points):
        return True
    error = np.full(len(points), np.inf, dtype=np.float32)
    for a in range(len(cores)):
        for b in range(a + 1, len(cores)):
            span = cores[b] - cores[a]
            share = np.clip((points - cores[a]) @ span / max(float(span @ span), 1e-6), 0, 1)
            off = np.abs(points - cores[a] - share[:, None] * span).max(axis=1)
            error = np.minimum(error, off)
    return bool((error <= _BLEND_ERROR).mean() >= _BLENDS)
