"""The alpha mattes of a frame's objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.refine.matte_edges import MatteEdges
from vostrack.refine.matting import refined_matte, without_specks

__all__ = ["frame_mattes"]


def frame_mattes(
    image: UInt8Array, labels: UInt8Array, ids: Sequence[int], edges: MatteEdges = "plain"
) -> FloatArray:
    """Return the alpha matte of each object of a frame.

    An edge is as soft as it is in the picture. Where objects touch, their mattes share the pixels.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8, the object id of each pixel.
        ids: the ids of the N objects.
        edges: "hair" also finds strands outside of the masks; see ``refined_matte``.

    Returns:
        (N, H, W) float32 in [0, 1]; nowhere do they add up to more than 1.

    Raises:
        InputError: picture and label map differ in size.
    """
    mattes = np.zeros((len(ids), *labels.shape), np.float32)
    for k, number in enumerate(ids):
        mattes[k] = refined_matte(image, (labels == number).astype(np.float32), edges)
    total = mattes.sum(axis=0)
    if not (total > 1).any():
        return mattes
    mattes /= np.maximum(total, 1)
    return np.stack([without_specks(matte) for matte in mattes])
