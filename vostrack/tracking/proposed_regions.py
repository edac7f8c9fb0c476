"""The proposer's regions as score maps, for the temporal filter."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from torch import Tensor

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.protocols import (
    BackboneFeatures,
    FeatureConsumer,
    FeatureProvider,
    InstanceProposals,
    InstanceProposer,
    ObjectAdapter,
    ObjectFollower,
)
from vostrack.tracking.frame_input import resized
from vostrack.tracking.proposal_checks import asked

__all__ = ["proposed_regions"]


def proposed_regions(
    proposer: InstanceProposer,
    adapter: ObjectAdapter,
    frame: UInt8Array,
    foreground: Tensor | None,
    previous: UInt8Array,
) -> FloatArray:
    """Ask a proposer for regions where a lost object may reappear.

    Args:
        proposer: the proposer.
        adapter: the object models, which may share their features.
        frame: (H, W, 3) uint8 RGB.
        foreground: (h, w) foreground probability at the working size; None if there is none.
        previous: (h, w) uint8, the label map of the previous frame; slots 1..N.

    Returns:
        (K, h, w) score maps in [0, 1] at the working size, one per proposal.

    Raises:
        InputError: as ``asked``.
    """
    size, working_size = frame.shape[:2], previous.shape
    full: FloatArray | None = None
    if foreground is not None:
        small: FloatArray = foreground.float().cpu().numpy()
        full = resized(small, size, cv2.INTER_LINEAR)
    shared = adapter.shared_features() if isinstance(adapter, FeatureProvider) else None

    def propose(own: UInt8Array) -> InstanceProposals:
        if isinstance(proposer, ObjectFollower):
            proposer.follow(resized(previous, size, cv2.INTER_NEAREST))
        if isinstance(proposer, FeatureConsumer):
            proposer.use_features(None if shared is None else _copied(shared))
        return proposer.propose(own, full)

    proposals = asked(proposer, frame, propose)
    maps = np.zeros((len(proposals), *working_size), np.float32)
    for index, score in enumerate(proposals.scores):
        if proposals.soft is not None:
            region = resized(proposals.soft[index], working_size, cv2.INTER_LINEAR)
        else:
            mask = proposals.masks[index].astype(np.uint8)
            region = resized(mask, working_size, cv2.INTER_NEAREST)
        maps[index] = region * score
    return maps


def _copied(shared: BackboneFeatures) -> BackboneFeatures:
    """Return features that a proposer may write into: the object models go on with their own."""
    return replace(shared, fine=shared.fine.clone(), coarse=shared.coarse.clone())
