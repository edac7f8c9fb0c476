"""Later frames with masks, as object models learn from them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.tracking.config import TrackerConfig
from vostrack.tracking.frame_input import VOID, check_frame, check_mask, resized, working_image
from vostrack.tracking.object_table import ObjectTable

__all__ = ["learnable_frames"]


def learnable_frames(
    later: Sequence[tuple[UInt8Array, UInt8Array]],
    objects: ObjectTable,
    shape: tuple[int, ...],
    config: TrackerConfig,
    device: torch.device,
) -> list[tuple[Tensor, Tensor]]:
    """Return the later frames that hold all objects, at the working size.

    Args:
        later: frames (H, W, 3) uint8 RGB with ids (H, W); ids of other objects say nothing.
        objects: those of the first frame.
        shape: of the first frame.
        config: of the tracker.
        device: of the results.

    Returns:
        Images (3, h, w) in [0, 1] with slots (h, w) int64; 0 background, 1..N, 255 void.

    Raises:
        InputError: a frame or a mask is malformed, or a frame has another size than the first.
    """
    found = []
    for frame, mask in later:
        check_frame(frame)
        if frame.shape != shape:
            raise InputError(
                f"later: expected frames of {shape[1]} x {shape[0]} pixels like the first, got "
                f"{frame.shape[1]} x {frame.shape[0]}"
            )
        labels = check_mask(mask, frame, may_be_empty=True)
        known = np.where(np.isin(labels, (*objects.ids, VOID)), labels, 0).astype(np.uint8)
        image = working_image(frame, config.max_size, device)
        slots = resized(objects.to_slots(known), image.shape[1:], cv2.INTER_NEAREST)
        if all((slots == slot).any() for slot in range(1, len(objects) + 1)):
            found.append((image, torch.from_numpy(slots).long().to(device)))
    return found
