"""Objects cut out of their photographs."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vostrack.datasets.composites.matted_photos import MattedPhoto
from vostrack.datasets.composites.mattes import read_matte
from vostrack.video.images import read_image

__all__ = ["read_cutout"]

UInt8Array = NDArray[np.uint8]


def read_cutout(photo: MattedPhoto) -> UInt8Array:
    """Cut the object out of its photograph.

    Along the soft rim a photograph shows a mixture of object and background; there the colour of
    the opaque part nearby is taken, so that no halo of the old background comes along.

    Returns:
        (h, w, 4) uint8 RGBA, colours not multiplied by alpha, cropped to the object and a margin.
    """
    pixels, alpha = read_image(photo.image), read_matte(photo.matte)
    margin = 4
    x0, y0, x1, y1 = photo.box
    rows = slice(max(y0 - margin, 0), y1 + margin)
    columns = slice(max(x0 - margin, 0), x1 + margin)
    pixels, alpha = pixels[rows, columns], alpha[rows, columns]
    # Isolated specks beside the object would fly along with it.
    count, pieces, stats, _ = cv2.connectedComponentsWithStats((alpha >= 26).astype(np.uint8))
    if count > 2:
        small = stats[:, cv2.CC_STAT_AREA] < 0.02 * stats[1:, cv2.CC_STAT_AREA].max()
        alpha = np.where(small[pieces], 0, alpha).astype(np.uint8)
    # Faint haze goes, and the rim becomes a little steeper: mattes err towards the background.
    hard = np.clip((alpha.astype(np.float32) / 255 - 0.12) / 0.80, 0, 1)
    core = cv2.erode((alpha >= 230).astype(np.float32), np.ones((3, 3), np.uint8))
    inside = pixels.astype(np.float32)
    weight = cv2.GaussianBlur(core, (0, 0), 3.0)
    spread = cv2.GaussianBlur(inside * core[..., None], (0, 0), 3.0)
    filled = spread / np.maximum(weight, 1e-3)[..., None]
    keep = np.where(weight > 0.02, core, 1.0)[..., None]
    colours = inside * keep + filled * (1 - keep)
    out = np.empty((*alpha.shape, 4), np.uint8)
    out[..., :3] = np.clip(colours + 0.5, 0, 255)
    out[..., 3] = np.clip(hard * 255 + 0.5, 0, 255)
    return out
