"""The alpha matte of an object, from its scores."""

from __future__ import annotations

import numpy as np

from vostrack.arrays import FloatArray
from vostrack.tracking.tracker import FrameResult

__all__ = ["matte"]


def matte(result: FrameResult, index: int) -> FloatArray:
    """Return the alpha matte (H, W) in [0, 1] of object ``index`` (position in ``ids``).

    Opaque where the object is certain, soft across its edge (scores of 0.25 to 0.75), and empty
    on the pixels of other objects.
    """
    alpha = np.clip((result.scores[index] - 0.25) / 0.5, 0, 1)
    others = (result.labels != 0) & (result.labels != result.ids[index])
    alpha[others] = 0
    opaque: FloatArray = alpha.astype(np.float32, copy=False)
    return opaque
