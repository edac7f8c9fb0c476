"""The alpha of an object in a picture, from its mask.

In a band around the edge of the mask, two estimates are combined. One compares the colour of a
pixel with the colours of the object and of the background nearby, each a Gaussian as in Bayesian
matting (Chuang et al. 2001), along the direction that separates the two best (Fisher 1936). The
other is the mask. A guided filter then smooths the result along the edges of the picture.

For hair, the same is done in a far wider band, and of what is found there the strands are kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vostrack.arrays import BoolArray, FloatArray, UInt8Array
from vostrack.errors import InputError
from vostrack.refine.matte_edges import MatteEdges
from vostrack.refine.matting.guided import guided_at
from vostrack.refine.matting.moments import Pixels, colours_around
from vostrack.refine.matting.specks import without_specks
from vostrack.refine.matting.strands import strands_beyond

__all__ = ["refined_matte"]


@dataclass(frozen=True)
class _Band:
    """Where the edge is sought, in pixels at the nominal size.

    Attributes:
        inside: depth within the mask.
        outside: distance from the mask.
        nearby: radius in which the colours of object and background are taken.
    """

    inside: float
    outside: float
    nearby: float


# Widths in pixels where the longer side has 854 pixels. Larger pictures have wider edges.
_NOMINAL = 854
_GUIDED, _BLUR = 2.7, 0.9
_PLAIN, _HAIR = _Band(4.5, 6.0, 14.0), _Band(4.5, 60.0, 45.0)
# Standard deviation of the noise of a picture, as a share of white.
_NOISE = 6 / 255
# How strongly the mask counts: like colours that lie this many variances apart.
_PRIOR = 8.0
# A colour that lies this many variances off the line between object and background proves little.
_MISFIT = 9.0
_GUIDE_EPS = 1e-4


def refined_matte(image: UInt8Array, coarse: FloatArray, edges: MatteEdges = "plain") -> FloatArray:
    """Return the alpha of an object whose mask is known roughly.

    Args:
        image: (H, W, 3) uint8 RGB.
        coarse: (H, W) in [0, 1], mask or score of the object; its edge is at 0.5.
        edges: "hair" also finds strands outside of the mask, up to 60 pixels away in a picture of
            854 pixels. Thin parts of the background that have the object's colours are taken, too.

    Returns:
        (H, W) float32 in [0, 1], exactly 0 and 1 away from the edge, without specks.

    Raises:
        InputError: the two differ in size.
    """
    if image.shape[:2] != coarse.shape:
        raise InputError(
            f"coarse: expected {image.shape[1]} x {image.shape[0]} pixels like the picture, got "
            f"{coarse.shape[1]} x {coarse.shape[0]}"
        )
    unit = max(1.0, max(coarse.shape) / _NOMINAL)
    smooth = np.asarray(
        cv2.GaussianBlur(np.asarray(coarse, np.float32), (0, 0), _BLUR * unit), np.float32
    )
    solid = coarse >= 0.5
    alpha = np.zeros(coarse.shape, np.float32)
    if not solid.any():
        return alpha
    widest = _HAIR if edges == "hair" else _PLAIN
    part = _surroundings(solid, round((widest.outside + 2 * _PLAIN.nearby) * unit))
    colours = image[part].astype(np.float32) / np.float32(255)
    found = _matte(colours, smooth[part], solid[part], unit, _PLAIN)
    if edges == "hair":
        far = _matte(colours, smooth[part], solid[part], unit, _HAIR)
        found = strands_beyond(found, far, solid[part], unit)
    alpha[part] = without_specks(found)
    return alpha


def _surroundings(solid: BoolArray, margin: int) -> tuple[slice, slice]:
    """Return the part of the picture that holds a mask and a margin."""
    rows, columns = (np.nonzero(solid.any(axis=axis))[0] for axis in (1, 0))
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + margin + 1),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + margin + 1),
    )


def _matte(
    image: FloatArray, smooth: FloatArray, solid: BoolArray, unit: float, where: _Band
) -> FloatArray:
    depth, height = _depth(solid) / (where.inside * unit), _depth(~solid) / (where.outside * unit)
    band = np.where(solid, depth, height) < 1
    alpha = (solid & ~band).astype(np.float32)
    if not band.any():
        return alpha
    rows, columns = np.nonzero(band)
    pixels = rows, columns
    # Colours next to the edge are mixed. They count only where there is nothing deeper.
    front, behind = np.minimum(depth, 1) ** 4, np.minimum(height, 1) ** 4
    share, trust = _by_colour(image, front, behind, pixels, round(where.nearby * unit))
    alpha[pixels] = (trust * share + _PRIOR * smooth[pixels]) / (trust + _PRIOR)
    weight = np.ones_like(alpha)
    weight[pixels] = trust / (trust + _PRIOR) + 0.05
    reduced = 2 if unit > 1.5 else 1
    alpha[pixels] = guided_at(
        image,
        alpha,
        weight,
        pixels,
        radius=round(_GUIDED * unit),
        reduced=reduced,
        eps=_GUIDE_EPS,
    )
    return alpha


def _depth(mask: BoolArray) -> FloatArray:
    """Return the distance to the nearest pixel outside a mask; 0 outside."""
    if mask.all():
        return np.full(mask.shape, 1e6, np.float32)
    return np.asarray(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5), np.float32)


def _by_colour(
    image: FloatArray, front: FloatArray, behind: FloatArray, pixels: Pixels, radius: int
) -> tuple[FloatArray, FloatArray]:
    """Return the share of the object's colour in each pixel, and how far it can be trusted.

    The trust is the squared distance between the two colours in standard deviations. This is the
    inverse variance of the share.
    """
    reduced = max(1, radius // 6)
    near = colours_around(image, front, pixels, radius, reduced)
    far = colours_around(image, behind, pixels, radius, reduced)
    variance = near.spread + far.spread + np.eye(3, dtype=np.float32) * np.float32(_NOISE**2)
    apart, offset = near.mean - far.mean, image[pixels] - far.mean
    solved = np.linalg.solve(variance, np.stack([apart, offset], axis=-1))
    separation = np.einsum("nc,nc->n", solved[..., 0], apart)
    along = np.einsum("nc,nc->n", solved[..., 1], apart)
    share = np.clip(along / np.maximum(separation, 1e-6), 0, 1)
    squared = np.einsum("nc,nc->n", solved[..., 1], offset)
    off = np.maximum(squared - 2 * share * along + share**2 * separation, 0)
    trust = np.maximum(separation, 0) * np.exp(-off / _MISFIT) * (near.known & far.known)
    return share.astype(np.float32), trust.astype(np.float32)
