"""Mix what the network finds with the masks of the previous frame, moved along the optical flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from vostrack.arrays import BoolArray, FloatArray, UInt8Array
from vostrack.compute.optical_flow import FlowField, Part, find_flow, warped
from vostrack.models.memory_cues import cover
from vostrack.models.target_decoder import NOWHERE
from vostrack.online_finetune.target.frame_steps import Finding
from vostrack.online_finetune.target.memory import TargetModelConfig
from vostrack.online_finetune.target.window import Window

__all__ = [
    "Agreement",
    "Followed",
    "followed_mask",
    "frame_in_window",
    "fuse_along_flow",
    "on_host",
]

# Scores nearer to 0 or 1 count as these: their logits are -5.8 and 5.8.
_LEAST = 0.003
# Logits of the network are cut off here before they are mixed.
_MOST = 8.0
# Smaller shares change no logit by more than 0.02.
_NEGLIGIBLE = 1e-3


class Agreement(NamedTuple):
    """How masks that followed the optical flow agree with those found.

    Attributes:
        apart: 1 - IoU of both, in [0, 1], of the worst object; 1 where one was not compared.
        trust: mean trust in the flow in a mask, in [0, 1], of the worst object.
    """

    apart: float = 1.0
    trust: float = 1.0


class Followed(NamedTuple):
    """The mask of an object as it follows the flow, in the box where anything is to be seen.

    Attributes:
        cells: rows and columns of the box, at stride 2.
        logits: (h2, w2) of the mask there.
        weight: (h2, w2) trust in the flow, in [0, 1].
    """

    cells: Part
    logits: Tensor
    weight: Tensor

    @property
    def trust(self) -> float:
        """Mean trust in the mask; 0 for an empty one."""
        inside = self.logits > 0
        return float((self.weight * inside).sum() / max(1, int(inside.sum())))

    @property
    def least(self) -> Tensor:
        """The logits where nothing is seen."""
        return self.logits.new_tensor(_LEAST).logit()


def fuse_along_flow(
    finding: Finding,
    frames: tuple[Tensor, Tensor],
    known: Sequence[bool],
    config: TargetModelConfig,
) -> tuple[Finding, Agreement]:
    """Return a finding whose masks keep what the previous frame's showed of the same pixels.

    The network draws every frame anew, and loses thin parts even where nothing has moved: the very
    frame whose mask it was given has a J of 0.90 with the preset ``fast``. Here, what moved with
    the image keeps its outline, as far as the flow can be trusted.

    Args:
        finding: of the frame, with the masks of the previous one in its window.
        frames: gray bytes (h, w) of the frame and of the previous one, on the CPU.
        known: whether each object was in sight in the previous frame; others stay as they are.
        config: how objects are tracked.

    Returns:
        The finding, and how it agrees with masks that follow the flow alone, where masks are
        carried.
    """
    now, before = frames
    if now.shape != before.shape or not any(known):
        return finding, Agreement()
    window, logits = finding.window, finding.segmentation.logits
    flow = find_flow(frame_in_window(now, window), frame_in_window(before, window))
    masks, found = on_host(finding.before, logits)
    mixed = found.clone()
    agreements = [
        _mix(own, mask, flow, config) if one else Agreement()
        for own, mask, one in zip(mixed[:, 0], masks[:, 0].numpy(), known, strict=True)
    ]
    segmentation = replace(finding.segmentation, logits=mixed.to(logits))
    worst = Agreement(max(a.apart for a in agreements), min(a.trust for a in agreements))
    return replace(finding, segmentation=segmentation), worst


def on_host(*maps: Tensor) -> list[Tensor]:
    """Return maps in float32 on the CPU. The device is waited for once."""
    maps = tuple(each.detach().float() for each in maps)
    if maps[0].device.type == "cpu":
        return list(maps)
    packed = torch.cat([each.flatten() for each in maps]).cpu()
    parts = torch.split(packed, [each.numel() for each in maps])
    return [part.view(each.shape) for part, each in zip(parts, maps, strict=True)]


def _mix(logits: Tensor, mask: FloatArray, flow: FlowField, config: TargetModelConfig) -> Agreement:
    """Mix the logits (h2, w2) of an object, in place, with its mask (h, w) in the frame before."""
    followed = followed_mask(logits, mask, flow)
    if followed is None:
        return Agreement()
    own, kept = logits[followed.cells], followed.logits
    weight = config.flow_share * followed.weight
    # Where neither sees anything nothing has to be computed later either.
    nothing = (own == NOWHERE) & (kept <= followed.least)
    changed = torch.lerp(own.clamp(-_MOST, _MOST), kept, weight)
    own.copy_(torch.where((weight < _NEGLIGIBLE) | nothing, own, changed))
    if not config.carry:
        return Agreement()
    one, other = own > 0, kept > 0
    both, either = int((one & other).sum()), int((one | other).sum())
    return Agreement(1 - both / either if either else 1.0, followed.trust)


def followed_mask(logits: Tensor, mask: FloatArray, flow: FlowField) -> Followed | None:
    """Return the mask (h, w) of an object in the frame before, as it follows the flow.

    That is done only in the box in which either that or the logits (h2, w2) of this frame see
    anything. None: nothing is seen.
    """
    stride = mask.shape[0] // logits.shape[0]
    boxes = [_box(logits.numpy() != NOWHERE)]
    was = _box(mask > _LEAST)
    can_be = flow.reach(was) if was is not None else None
    if can_be is not None:
        rows, columns = (slice(one.start // stride, -(-one.stop // stride)) for one in can_be)
        boxes.append((rows, columns))
    cells = _union([box for box in boxes if box is not None])
    if cells is None:
        return None
    pixels, size = _times(cells, stride), logits[cells].shape
    weight = cover(torch.from_numpy(flow.trust_in(pixels))[None, None], size)[0, 0]
    moved = torch.from_numpy(warped(mask[None], flow, pixels))[None]
    kept = cover(moved.clamp_(_LEAST, 1 - _LEAST).logit_(), size)[0, 0]
    return Followed(cells, kept, weight)


def _box(inside: BoolArray) -> Part | None:
    """Return the rows and columns around a mask (h, w); None for an empty one."""
    left, top, width, height = cv2.boundingRect(inside.view(np.uint8))
    return (slice(top, top + height), slice(left, left + width)) if width else None


def _union(parts: Sequence[Part]) -> Part | None:
    """Return the rows and columns around some parts; None for none."""
    if not parts:
        return None
    rows, columns = (
        slice(min(one.start for one in axis), max(one.stop for one in axis))
        for axis in zip(*parts, strict=True)
    )
    return rows, columns


def _times(part: Part, factor: int) -> Part:
    """Return a part in smaller cells, ``factor`` to each."""
    rows, columns = (slice(factor * one.start, factor * one.stop) for one in part)
    return rows, columns


def frame_in_window(gray: Tensor, window: Window) -> UInt8Array:
    """Cut gray bytes (h, w) of a frame to a window, averaged where it is smaller."""
    x0, y0, x1, y1 = window.box
    part = gray[y0:y1, x0:x1].numpy()
    rows, columns = window.size
    smaller = rows * columns < part.size
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    cut: UInt8Array = np.empty((rows, columns), np.uint8)
    cv2.resize(part, (columns, rows), dst=cut, interpolation=how)
    return cut
