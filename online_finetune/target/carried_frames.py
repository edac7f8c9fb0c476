"""Frames whose masks only follow the optical flow, because the network would change little.

That the optical flow spares whole passes of a network is from Deep Feature Flow (Zhu et al., CVPR
2017); that each frame is judged by how well the flow does, from Xu et al. (CVPR 2018). Here nothing
is trained to judge it: in each frame that the network sees, the masks that followed the flow into
it are compared with the masks found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vostrack.compute.optical_flow import find_flow
from vostrack.models.target_decoder import NOWHERE
from vostrack.online_finetune.target.cohorts import Cohorts
from vostrack.online_finetune.target.flow_fusion import followed_mask, frame_in_window, on_host
from vostrack.online_finetune.target.frame_steps import Drawn
from vostrack.online_finetune.target.memory import TargetModelConfig, TrackedObjects
from vostrack.online_finetune.target.view import next_window

__all__ = ["Steadiness", "carry_masks"]

# Objects are steady if masks that followed the flow differ by no more than this share of their
# pixels from those found. In the steady one of six composed clips two frames in three then went
# without the network for 0.001 J&F; with 0.1 in place of it, two of six DAVIS training sequences
# with three times the motion lost 0.03.
_APART = 0.03
# Flow that is trusted this much less than in the frame that the network saw is not followed:
# something has come before the object, or its motion has changed.
_LESS_TRUST = 0.1


@dataclass(frozen=True)
class Steadiness:
    """How the masks have followed the optical flow, in the last frame that the network saw.

    Attributes:
        apart: 1 - IoU of the masks that followed the flow into that frame and those found there,
            in [0, 1], of the worst object; 1 where that is not known.
        trust: mean trust in the flow in a mask, in [0, 1], of the worst object.
        carried: frames since then.
    """

    apart: float = 1.0
    trust: float = 1.0
    carried: int = 0


def carry_masks(
    now: TrackedObjects | Cohorts,
    frames: tuple[Tensor, Tensor],
    size: Sequence[int],
    steady: Steadiness,
    config: TargetModelConfig,
) -> Drawn | None:
    """Return the masks of a frame as they follow the optical flow; None: the network has to see it.

    Args:
        now: the objects after the previous frame, all of them in sight.
        frames: gray bytes (h, w) of the frame and of the previous one, on the CPU.
        size: h and w of the frame.
        steady: how the masks have followed so far.
        config: how objects are tracked.
    """
    frame, before = frames
    if steady.carried >= config.carry or steady.apart > _APART or frame.shape != before.shape:
        return None
    window = next_window(now, False, size, config)
    flow = find_flow(frame_in_window(frame, window), frame_in_window(before, window))
    masks = window.crop(now.masks[:, None], antialias=False)
    (given,) = on_host(masks)
    rows, columns = window.size
    logits = torch.full((len(given), 1, rows // 2, columns // 2), NOWHERE)
    for own, mask in zip(logits[:, 0], given[:, 0].numpy(), strict=True):
        followed = followed_mask(own, mask, flow)
        if followed is None or followed.trust < steady.trust - _LESS_TRUST:
            return None
        seen = followed.logits > followed.least
        own[followed.cells] = followed.logits.where(seen, own.new_tensor(NOWHERE))
    return Drawn(logits.to(masks), masks, window)
