"""From a mask to what is remembered of it, and from cues back to a mask with edges."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vostrack.compute.doubling import doubled
from vostrack.models.byte_layers import ByteLayer, convolved_part
from vostrack.models.byte_map import ByteMap, as_floats
from vostrack.models.lateral_map import LateralMap
from vostrack.models.near_places import possible_places, seen_around, without_margin
from vostrack.models.pointwise import pointwise
from vostrack.models.regions import Regions

__all__ = ["NOWHERE", "Level", "MaskEncoder", "TargetDecoder"]

Level = Tensor | ByteMap | LateralMap
"""A feature map (B, C, h, w), or what is kept in its place."""

NOWHERE = -10.0
"""Logit where an object is not looked for: a score of 0.00005."""


class MaskEncoder(nn.Module):
    """From a mask and the image features under it to the values that a memory keeps."""

    def __init__(self, context: int, values: int) -> None:
        super().__init__()
        self.steps = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in ((1, 8), (8, 16), (16, 32))
        )
        self.context = pointwise(context, 32)
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
            pointwise(c, w) for c, w in zip(channels, (w2, w4, w8, 64), strict=True)
        )
        self.inputs = 64 + cues
        self.enter = nn.Conv2d(self.inputs, w16, 3, padding=1)
        # Dilations 2 and 4 let every cell see most of the object.
        self.context = nn.ModuleList(nn.Conv2d(w16, w16, 3, padding=d, dilation=d) for d in (2, 4))
        self.reduce = nn.ModuleList(pointwise(a, b) for a, b in ((w16, w8), (w8, w4), (w4, w2)))
        self.fuse = nn.ModuleList(nn.Conv2d(w + 1, w, 3, padding=1) for w in (w8, w4))
        self.smooth = nn.ModuleList(nn.Conv2d(w, w, 3, padding=1) for w in (w8, w4, w2))
        self.presence = nn.Linear(2 * w16, 1)
        self.coarse = nn.Conv2d(w4, 1, 3, padding=1)
        self.fine = nn.Conv2d(w2, 1, 3, padding=1)

    def outline_laterals(self) -> list[nn.Module]:
        """Return the lateral layers of strides 2, 4 and 8."""
        return list(self.lateral[:3])

    def _skip(self, index: int, level: Level) -> Tensor:
        """Return what is added at a stride: (B, C, h, w)."""
        if isinstance(level, LateralMap):
            return level.values
        layer = self.lateral[index]
        return layer(level if isinstance(layer, ByteLayer) else as_floats(level))  # type: ignore[no-any-return]

    def outline_layers(self) -> list[nn.Module]:
        """Return the layers of strides 8, 4 and 2."""
        lists = (self.lateral[:3], self.reduce, self.fuse, self.smooth)
        return [*(layer for layers in lists for layer in layers), self.coarse, self.fine]

    def forward(
        self,
        levels: tuple[Level, Level, Level],
        cues: tuple[Tensor, Tensor],
        covers: Sequence[Tensor],
        regions: Regions | None = None,
        only_present: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Decode.

        Args:
            levels: (1 or B, C, h, w) at strides 2, 4 and 8, the first perhaps in bytes.
            cues: what ``entered`` gave, and the other cues (B, cues, h, w) at stride 16; of the
                regions where there are any.
            covers: (B, 1, h, w) in [0, 1] at strides 8 and 4, where the object was.
            regions: all that is seen of each object; elsewhere is background.
            only_present: leave out objects that are not in the image, without ``regions``.

        Returns:
            Logits (B, 1, h2, w2) of the mask, and (B,) of the object's being in the image at all.
        """
        x, presence = self.objects(*cues)
        if not only_present:
            return self._drawn(x, levels, covers, regions), presence
        logits = x.new_full((len(x), 1, *levels[0].shape[-2:]), NOWHERE)
        there = torch.nonzero(presence >= 0)[:, 0]
        if len(there):
            shown = [cover[there] for cover in covers]
            logits[there] = self._drawn(x[there], levels, shown, None)
        return logits, presence

    def _drawn(
        self,
        x: Tensor,
        levels: tuple[Level, Level, Level],
        covers: Sequence[Tensor],
        regions: Regions | None,
    ) -> Tensor:
        """Return logits (B, 1, h2, w2) from x (B, w16, h, w) at stride 16."""
        skips = self._skip(2, levels[2]), self._skip(1, levels[1])
        if regions is not None:
            covers = [regions.cut(x, scale) for x, scale in zip(covers, (2, 4), strict=True)]
        for index, (skip, covered) in enumerate(zip(skips, covers, strict=True)):
            x = _onto(self.reduce[index](x), skip, regions, 2 << index).relu_()
            x = F.relu_(self.fuse[index](_beside(x, covered)))
            x = x + F.relu_(self.smooth[index](x))
        logits = self._finest(x, levels[0], regions)
        if regions is not None:
            logits = regions.put(logits, levels[0].shape[-2:], 8, NOWHERE)
        return logits

    def entered(self, level: Tensor, read: Tensor, regions: Regions | None = None) -> Tensor:
        """Begin with what does not depend on where objects were; see ``objects``.

        Args:
            level: (1 or B, C, h, w) at stride 16.
            read: (B, V, h, w) what memories gave; of the regions where there are any.
            regions: all that is seen of each object.

        Returns:
            (B, w16, h, w), of the regions.
        """
        view = F.relu_(self.lateral[3](level))
        if regions is not None:
            view = regions.cut(view, 1)
        return _joined(self.enter, view, read)

    def objects(self, entered: Tensor, cues: Tensor) -> tuple[Tensor, Tensor]:
        """Decode at stride 16 only; see ``forward``.

        Args:
            entered: (B, w16, h, w), what ``entered`` gave.
            cues: (B, C, h, w), the other cues.

        Returns:
            (B, w16, h, w) what is known of each cell, and (B,) logits of the objects' presence.
        """
        start = self.inputs - cues.shape[1]
        x = F.relu_(convolved_part(self.enter, cues, start, biased=False) + entered)
        for context in self.context:
            x = x + F.relu_(context(x))
        presence = self.presence(torch.cat([x.amax((2, 3)), x.mean((2, 3))], dim=1))[:, 0]
        return x, presence

    def _finest(self, x: Tensor, fine: Level, regions: Regions | None) -> Tensor:
        """Return logits (B, 1, 2 h, 2 w) from x (B, C, h, w) at stride 4.

        Args:
            x: of the regions, or of the whole window.
            fine: (1 or B, C, H2, W2) features at stride 2, of the whole window.
            regions: what x is of; None for the whole window.
        """
        coarse = self.coarse(x)
        whole = fine.shape[-2:] if regions is None else [8 * side for side in regions.size]
        twice = list(whole) == [2 * side for side in x.shape[-2:]]
        # Fine-tuning on a CPU, which alone has fixed laterals, learns near objects.
        learned = torch.is_grad_enabled()
        everywhere = learned and not isinstance(fine, LateralMap)
        if x.device.type != "cpu" or not twice or everywhere:
            x = _onto(self.reduce[2](x), self._skip(0, fine), regions, 8).relu_()
            logits: Tensor = self.fine(F.relu_(self.smooth[2](x)))
            return logits + _upsample_like(coarse, logits)
        near = self._learned_near if learned else self._finest_near
        return near(x, coarse, fine, regions)

    def _finest_near(
        self, x: Tensor, coarse: Tensor, fine: Level, regions: Regions | None
    ) -> Tensor:
        """Compute only the places where an object can be; elsewhere is ``NOWHERE``.

        On DAVIS that is two fifths of a window around one object. Logits of places that are left
        out were -4 and lower.
        """
        rows, columns = x.shape[-2:]
        logits = x.new_full((len(x), 1, 2 * rows, 2 * columns), NOWHERE)
        for index, place in enumerate(possible_places(coarse)):
            if place is None:
                continue
            seen = seen_around(place)
            part = self._details(x, fine, regions, index, seen)
            part += _upsample_like(coarse[(slice(index, index + 1), slice(None), *seen)], part)
            y, z = (slice(2 * start, 2 * stop) for start, stop in place)
            logits[index, :, y, z] = without_margin(part, place, seen)[0]
        return logits

    def _learned_near(
        self, x: Tensor, coarse: Tensor, fine: Level, regions: Regions | None
    ) -> Tensor:
        """Do what ``_finest_near`` does, for fine-tuning: elsewhere are the logits of stride 4.

        So they learn to leave out what is not of the object. What is finer learns where it counts.
        """
        rows, columns = (2 * side for side in x.shape[-2:])
        details = []
        for index, place in enumerate(possible_places(coarse.detach())):
            if place is None:
                details.append(x.new_zeros((1, 1, rows, columns)))
                continue
            seen = seen_around(place)
            part = without_margin(self._details(x, fine, regions, index, seen), place, seen)
            (top, bottom), (left, right) = ((2 * start, 2 * stop) for start, stop in place)
            details.append(F.pad(part, (left, columns - right, top, rows - bottom)))
        joined = torch.cat(details) if len(details) > 1 else details[0]
        return joined + doubled(coarse)

    def _details(
        self,
        x: Tensor,
        fine: Level,
        regions: Regions | None,
        index: int,
        seen: tuple[slice, slice],
    ) -> Tensor:
        """Return what stride 2 adds to the logits of one object: (1, 1, 2 h', 2 w').

        Args:
            x: (B, C, h, w) at stride 4.
            fine: see ``_finest``.
            regions: see ``_finest``.
            index: of the object.
            seen: rows and columns of x to be looked at.
        """
        part = self.reduce[2](x[(slice(index, index + 1), slice(None), *seen)])
        corner = (0, 0) if regions is None else regions.corners[index]
        y, z = (
            slice(8 * cell + 2 * span.start, 8 * cell + 2 * span.start + 2 * side)
            for cell, span, side in zip(corner, seen, part.shape[-2:], strict=True)
        )
        image = index % len(fine)
        skip = self._skip(0, fine[image : image + 1, :, y, z])
        part = _upsample_like(part, skip).add_(skip).relu_()
        return self.fine(F.relu_(self.smooth[2](part)))  # type: ignore[no-any-return]


def _joined(layer: nn.Conv2d | ByteLayer, x: Tensor, y: Tensor) -> Tensor:
    """Convolve x (1 or B, C, h, w) beside y (1 or B, D, h, w) with the first C + D inputs.

    What is shared by all objects, one in place of B, is convolved once.
    """
    if len(x) == len(y):
        return convolved_part(layer, torch.cat([x, y], dim=1), 0, biased=True)
    first = convolved_part(layer, x, 0, biased=True)
    return first + convolved_part(layer, y, x.shape[1], biased=False)


def _beside(x: Tensor, cover: Tensor) -> Tensor:
    """Return x (B, C, h, w) with a map (B, 1, h, w) as one more channel, in the layout of x.

    torch cannot tell the layout of a single channel by itself: joined with it, a map with channels
    last is copied to the other layout, and once more back again for each convolution.
    """
    if cover.is_contiguous() and not x.is_contiguous():
        height, width = cover.shape[-2:]
        cover = cover.as_strided(cover.shape, (height * width, 1, width, 1))
    return torch.cat([x, cover], dim=1)


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
