"""Mix what the network finds with the masks of the previous frame, moved along the optical flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import torch
from torch import Tensor

from vostrack.arrays import UInt8Array
from vostrack.compute.optical_flow import find_flow, warped
from vostrack.models.memory_cues import cover
from vostrack.models.target_decoder import NOWHERE
from vostrack.online_finetune.target.frame_steps import Finding
from vostrack.online_finetune.target.memory import TargetModelConfig
from vostrack.online_finetune.target.window import Window

__all__ = ["fuse_along_flow"]

# Scores nearer to 0 or 1 count as these: their logits are -5.8 and 5.8.
_LEAST = 0.003
# Logits of the network are cut off here before they are mixed.
_MOST = 8.0
# Smaller shares change no logit by more than 0.02.
_NEGLIGIBLE = 1e-3


def fuse_along_flow(
    finding: Finding,
    frames: tuple[Tensor, Tensor],
    known: Sequence[bool],
    config: TargetModelConfig,
) -> Finding:
    """Return a finding whose masks keep what the previous frame's showed of the same pixels.

    The network draws every frame anew, and loses thin parts even where nothing has moved: the very
    frame whose mask it was given has a J of 0.90 with the preset ``fast``. Here, what moved with
    the image keeps its outline, as far as the flow can be trusted.

    Args:
        finding: of the frame, with the masks of the previous one in its window.
        frames: gray bytes (h, w) of the frame and of the previous one, on the CPU.
        known: whether each object was in sight in the previous frame; others stay as they are.
        config: how objects are tracked.
    """
    now, before = frames
    if now.shape != before.shape or not any(known):
        return finding
    window, logits = finding.window, finding.segmentation.logits
    flow = find_flow(_cut(now, window), _cut(before, window))
    masks = finding.before[:, 0].detach().float().cpu().numpy()
    moved = torch.from_numpy(warped(masks, flow))[:, None]
    size = logits.shape[-2:]
    kept = cover(moved.clamp_(_LEAST, 1 - _LEAST).logit_(), size).to(logits.device)
    trust = cover(torch.from_numpy(flow.trust)[None, None], size).to(logits.device)
    counted = torch.tensor(known, dtype=trust.dtype).to(logits.device)[:, None, None, None]
    share = config.flow_share * trust * counted
    mixed = torch.lerp(logits.clamp(-_MOST, _MOST), kept, share)
    # Where neither sees anything nothing has to be computed later either.
    nothing = (logits == NOWHERE) & (kept <= kept.new_tensor(_LEAST).logit())
    mixed = torch.where((share < _NEGLIGIBLE) | nothing, logits, mixed)
    return replace(finding, segmentation=replace(finding.segmentation, logits=mixed))


def _cut(gray: Tensor, window: Window) -> UInt8Array:
    """Cut gray bytes (h, w) of a frame to a window, averaged where it is smaller."""
    x0, y0, x1, y1 = window.box
    part = gray[y0:y1, x0:x1].numpy()
    rows, columns = window.size
    smaller = rows * columns < part.size
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    cut: UInt8Array = np.empty((rows, columns), np.uint8)
    cv2.resize(part, (columns, rows), dst=cut, interpolation=how)
    return cut
