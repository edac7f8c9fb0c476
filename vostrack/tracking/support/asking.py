"""Asking a proposer about a part of a frame, with a foreground of its own."""

from __future__ import annotations

import cv2
import numpy as np

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.protocols import (
    FeatureConsumer,
    InstanceProposals,
    InstanceProposer,
    ObjectFollower,
)
from vostrack.tracking.frame_input import resized
from vostrack.tracking.proposal_checks import asked
from vostrack.tracking.support.stage import Box, Foreground

__all__ = ["ask_proposer"]


def ask_proposer(
    proposer: InstanceProposer,
    foreground: Foreground | None,
    frame: UInt8Array,
    previous: UInt8Array,
    box: Box | None,
) -> FloatArray:
    """Ask for proposals inside a box.

    Args:
        proposer: the proposer. It sees the box as if it was a frame.
        foreground: gives it a foreground probability; None gives it none.
        frame: (H, W, 3) uint8 RGB.
        previous: (h, w) uint8, the label map of the previous frame at the working size; slots.
        box: at the working size; None for the whole frame.

    Returns:
        (K, h, w) in [0, 1] at the working size.

    Raises:
        InputError: as ``asked``.
    """
    rows, columns = previous.shape
    x0, y0, x1, y1 = box or (0, 0, columns, rows)
    across, down = frame.shape[1] / columns, frame.shape[0] / rows
    part = np.ascontiguousarray(
        frame[round(y0 * down) : round(y1 * down), round(x0 * across) : round(x1 * across)]
    )
    chance = None if foreground is None else foreground(part)

    def propose(own: UInt8Array) -> InstanceProposals:
        if isinstance(proposer, ObjectFollower):
            proposer.follow(resized(previous[y0:y1, x0:x1], part.shape[:2], cv2.INTER_NEAREST))
        if isinstance(proposer, FeatureConsumer):
            proposer.use_features(None)
        return proposer.propose(own, chance)

    found = asked(proposer, part, propose)
    maps = np.zeros((len(found), rows, columns), np.float32)
    for k in range(len(found)):
        region = found.masks[k].astype(np.float32) if found.soft is None else found.soft[k]
        maps[k, y0:y1, x0:x1] = resized(region, (y1 - y0, x1 - x0), cv2.INTER_LINEAR)
    return maps
