"""From a mask to what is remembered of it, and from cues back to a mask with edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["NOWHERE", "MaskEncoder", "Regions", "TargetDecoder", "span_of"]

NOWHERE = -10.0
"""Logit where an object is not looked for: a score of 0.00005."""

# An object can be where its logit at stride 4 is above this: a score of 0.018.
_HARDLY = -4.0
# Cells of stride 4 that a logit at stride 2 depends on, on each side: one of them by bilinear
# scaling, and one by two convolutions.
_SEEN = 2


@dataclass(frozen=True)
class Regions:
    """Where each of B objects can be: rectangles of one size, in cells of stride 16.

    Attributes:
        corners: top row and left column of each.
        size: rows and columns of all.
    """

    corners: tuple[tuple[int, int], ...]
    size: tuple[int, int]

    def cut(self, maps: Tensor, scale: int) -> Tensor:
        """Cut maps (1 or B, C, h, w) of ``scale`` pixels per cell: (B, C, h', w')."""
        if len(maps) == 1:
            maps = maps.expand(len(self.corners), -1, -1, -1)
        height, width = (side * scale for side in self.size)
        parts = [
            part[:, y * scale : y * scale + height, x * scale : x * scale + width]
            for part, (y, x) in zip(maps, self.corners, strict=True)
        ]
        return torch.stack(parts).contiguous(memory_format=torch.channels_last)

    def mirrored(self, columns: int) -> Regions:
        """Return those in maps of ``columns`` cells that are mirrored left to right."""
        width = self.size[1]
        return Regions(tuple((y, columns - x - width) for y, x in self.corners), self.size)

    def part(self, numbers: Sequence[int]) -> Regions:
        """Return those of some of the objects."""
        return Regions(tuple(self.corners[k] for k in numbers), self.size)

    def put(self, parts: Tensor, size: Sequence[int], scale: int, outside: float) -> Tensor:
        """Undo ``cut``: maps (B, C, h, w) that are ``outside`` everywhere else."""
        maps = parts.new_full((*parts.shape[:2], *size), outside)
        height, width = parts.shape[-2:]
        for index, (part, corner) in enumerate(zip(parts, self.corners, strict=True)):
            y, x = (scale * cell for cell in corner)
            maps[index, :, y : y + height, x : x + width] = part
        return maps


class MaskEncoder(nn.Module):
    """From a mask and the image features under it to the values that a memory keeps."""

    def __init__(self, context: int, values: int) -> None:
        super().__init__()
        self.steps = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in ((1, 8), (8, 16), (16, 32))
        )
        self.context = nn.Conv2d(context, 32, 1)
        self.join = nn.Conv2d(64, values, 3, padding=1)

    def forward(self, mask: Tensor, feature: Tensor) -> Tensor:
        """Map masks (B, 1, h2, w2) at stride 2 and features (B, C, h, w) to (B, V, h, w)."""
        x = mask * 2 - 1
        for step in self.steps:
            x = F.relu_(step(x))
        context = F.relu_(self.context(feature))
        return _joined(self.join, x, context)


class TargetDecoder(nn.Module):
    """From cues at stride 16 to logits at stride 2, edges from the shallower features."""

    def __init__(self, channels: Sequence[int], cues: int, widths: Sequence[int]) -> None:
        super().__init__()
        w16, w8, w4, w2 = widths
        self.lateral = nn.ModuleList(
            nn.Conv2d(c, w, 1) for c, w in zip(channels, (w2, w4, w8, 64), strict=True)
        )
        self.enter = nn.Conv2d(64 + cues, w16, 3, padding=1)
        # Dilations 2 and 4 let every cell see most of the object.
        self.context = nn.ModuleList(nn.Conv2d(w16, w16, 3, padding=d, dilation=d) for d in (2, 4))
        self.reduce = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in ((w16, w8), (w8, w4), (w4, w2)))
        self.fuse = nn.ModuleList(nn.Conv2d(w + 1, w, 3, padding=1) for w in (w8, w4))
        self.smooth = nn.ModuleList(nn.Conv2d(w, w, 3, padding=1) for w in (w8, w4, w2))
        self.presence = nn.Linear(2 * w16, 1)
        self.coarse = nn.Conv2d(w4, 1, 3, padding=1)
        self.fine = nn.Conv2d(w2, 1, 3, padding=1)

    def outline_layers(self) -> list[nn.Module]:
        """Return the layers of strides 8, 4 and 2."""
        lists = (self.lateral[:3], self.reduce, self.fuse, self.smooth)
        return [*(layer for layers in lists for layer in layers), self.coarse, self.fine]

    def forward(
        self,
        levels: Sequence[Tensor],
        cues: Tensor,
        covers: Sequence[Tensor],
        regions: Regions | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Decode.

        Args:
            levels: (1 or B, C, h, w) at strides 2, 4, 8 and 16.
            cues: (B, cues, h, w) at stride 16, of the regions where there are any.
            covers: (B, 1, h, w) in [0, 1] at strides 8 and 4, where the object was.
            regions: all that is seen of each object; elsewhere is background.

        Returns:
            Logits (B, 1, h2, w2) of the mask, and (B,) of the object's being in the image at all.
        """
        skips = [self.lateral[level](levels[level]) for level in (2, 1)]
        if regions is not None:
            covers = [regions.cut(x, scale) for x, scale in zip(covers, (2, 4), strict=True)]
        x, presence = self.objects(levels[3], cues, regions)
        for index, (skip, covered) in enumerate(zip(skips, covers, strict=True)):
            x = _onto(self.reduce[index](x), skip, regions, 2 << index).relu_()
            x = F.relu_(self.fuse[index](torch.cat([x, covered], dim=1)))
            x = x + F.relu_(self.smooth[index](x))
        logits = self._finest(x, levels[0], regions)
        if regions is not None:
            logits = regions.put(logits, levels[0].shape[-2:], 8, NOWHERE)
        return logits, presence

    def objects(
        self, level: Tensor, cues: Tensor, regions: Regions | None = None
    ) -> tuple[Tensor, Tensor]:
        """Decode at stride 16 only; see ``forward``.

        Returns:
            (B, w16, h, w) what is known of each cell, and (B,) logits of the objects' presence.
        """
        view = F.relu_(self.lateral[3](level))
        if regions is not None:
            view = regions.cut(view, 1)
        x = F.relu_(_joined(self.enter, view, cues))
        for context in self.context:
            x = x + F.relu_(context(x))
        presence = self.presence(torch.cat([x.amax((2, 3)), x.mean((2, 3))], dim=1))[:, 0]
        return x, presence

    def _finest(self, x: Tensor, fine: Tensor, regions: Regions | None) -> Tensor:
        """Return logits (B, 1, 2 h, 2 w) from x (B, C, h, w) at stride 4.

        Args:
            x: of the regions, or of the whole window.
            fine: (1 or B, C, H2, W2) features at stride 2, of the whole window.
            regions: what x is of; None for the whole window.
        """
        coarse = self.coarse(x)
        whole = fine.shape[-2:] if regions is None else [8 * side for side in regions.size]
        doubled = list(whole) == [2 * side for side in x.shape[-2:]]
        if torch.is_grad_enabled() or x.device.type != "cpu" or not doubled:
            x = _onto(self.reduce[2](x), self.lateral[0](fine), regions, 8).relu_()
            logits: Tensor = self.fine(F.relu_(self.smooth[2](x)))
            return logits + _upsample_like(coarse, logits)
        return self._finest_near(x, coarse, fine, regions)

    def _finest_near(
        self, x: Tensor, coarse: Tensor, fine: Tensor, regions: Regions | None
    ) -> Tensor:
        """Compute only the places where an object can be; elsewhere is ``NOWHERE``.

        On DAVIS that is two fifths of a window around one object. Logits of places that are left
        out were -4 and lower.
        """
        rows, columns = x.shape[-2:]
        logits = x.new_full((len(x), 1, 2 * rows, 2 * columns), NOWHERE)
        for index, place in enumerate(_places(coarse)):
            if place is None:
                continue
            # Two cells more on each side are all that the layers here see of them.
            (top, bottom), (left, right) = place
            above, before = min(top, _SEEN), min(left, _SEEN)
            y, z = slice(top - above, bottom + _SEEN), slice(left - before, right + _SEEN)
            part = self.reduce[2](x[index : index + 1, :, y, z])
            size = [2 * side for side in part.shape[-2:]]
            y2, x2 = (0, 0) if regions is None else (8 * cell for cell in regions.corners[index])
            y2, x2 = y2 + 2 * y.start, x2 + 2 * z.start
            source = fine[index % len(fine)][None, :, y2 : y2 + size[0], x2 : x2 + size[1]]
            skip = self.lateral[0](source)
            part = _upsample_like(part, skip).add_(skip).relu_()
            part = self.fine(F.relu_(self.smooth[2](part)))
            part += _upsample_like(coarse[index : index + 1, :, y, z], part)
            inside = part[0, :, 2 * above :, 2 * before :]
            height, width = 2 * (bottom - top), 2 * (right - left)
            logits[index, :, 2 * top : 2 * bottom, 2 * left : 2 * right] = inside[
                :, :height, :width
            ]
        return logits


def _places(coarse: Tensor) -> list[tuple[tuple[int, int], tuple[int, int]] | None]:
    """Return the rows and the columns, from and to, in which each object can be.

    Args:
        coarse: (B, 1, h, w) logits.
    """
    inside = (coarse[:, 0] > _HARDLY).view(torch.uint8)
    filled = inside.amax(2).numpy(), inside.amax(1).numpy()
    found: list[tuple[tuple[int, int], tuple[int, int]] | None] = []
    for rows, columns in zip(*filled, strict=True):
        if not rows.any():
            found.append(None)
            continue
        found.append((span_of(rows), span_of(columns)))
    return found


def span_of(filled: np.ndarray) -> tuple[int, int]:
    """Return the first cell and the one after the last, with one more on each side.

    Multiples of 8 cells: libraries prepare their kernels for each new shape.
    """
    places = np.flatnonzero(filled)
    first, last = max(0, int(places[0]) - 1), min(len(filled), int(places[-1]) + 2)
    length = min(len(filled), last - first + -(last - first) % 8)
    first = min(first, len(filled) - length)
    return first, first + length


def _joined(conv: nn.Conv2d, x: Tensor, y: Tensor) -> Tensor:
    """Apply a convolution to x (1 or B, C, h, w) beside y (1 or B, D, h, w).

    What is shared by all objects, one in place of B, is convolved once.
    """
    if len(x) == len(y):
        return conv(torch.cat([x, y], dim=1))  # type: ignore[no-any-return]
    first, rest = conv.weight[:, : x.shape[1]], conv.weight[:, x.shape[1] :]
    padding = conv.padding
    assert not isinstance(padding, str)
    return F.conv2d(x, first, conv.bias, padding=padding) + F.conv2d(y, rest, padding=padding)


def _onto(x: Tensor, skip: Tensor, regions: Regions | None, scale: int) -> Tensor:
    """Scale x (B, C, h, w) up to a skip (1 or B, C, H, W), or to the regions of it, and add that.

    Args:
        x: half as large.
        skip: of the whole window.
        regions: what x is of; None for the whole window.
        scale: pixels of the skip per cell of the regions.
    """
    if regions is None:
        return _upsample_like(x, skip).add_(skip)
    height, width = (side * scale for side in regions.size)
    x = F.interpolate(x, size=(height, width), mode="bilinear", align_corners=False)
    for index, (y, left) in enumerate(regions.corners):
        # Parts are added one by one: to cut them all out first is one copy more.
        source = skip[index % len(skip)]
        x[index].add_(source[:, y * scale :, left * scale :][:, :height, :width])
    return x


def _upsample_like(x: Tensor, other: Tensor) -> Tensor:
    return F.interpolate(x, size=other.shape[-2:], mode="bilinear", align_corners=False)
