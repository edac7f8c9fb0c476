"""Training scenes: a cropped label map, into which objects of others may be pasted.

A semantic mask does not show where one object ends and the next of its class begins. A scene does:
its objects are the connected pieces of masks with void outlines, filled in so that they touch.
Objects of other masks are pasted beside or over them, most of them with the class of what they
touch. The losses tell the objects apart; the network may not see where they meet. No instance
label is read. With ``pieces`` 0 and without ``objects`` this is the plain training of the paper.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vostrack.arrays import BoolArray, IntArray, UInt8Array
from vostrack.checks import check_at_least, check_fraction, check_multiple
from vostrack.datasets.label_maps import LabelMapSource
from vostrack.errors import InputError
from vostrack.masks.palette import VOID
from vostrack.proposers.displacement.losses import VOID_REGION
from vostrack.proposers.displacement.networks import CELL
from vostrack.proposers.displacement.objects import (
    draw_outlines,
    fill_outlines,
    number_objects,
    present_labels,
    soften,
)

__all__ = ["Scene", "SceneConfig", "draw_scene", "pick_source"]

Chance = np.random.Generator

# A void line in VOC measures 5 pixels of 500.
_OUTLINE = 4.0
_TRIES = 12


@dataclass(frozen=True)
class SceneConfig:
    """How label maps become scenes.

    Attributes:
        side: of the square scenes, pixels; a multiple of 16.
        longest: the longer side of a label map is scaled to between these, pixels.
        flip: probability of mirroring a label map, and each piece.
        objects: the losses tell connected pieces of a class apart, not only classes. Label maps
            with void outlines are preferred, because their pieces are objects.
        pieces: highest number of pasted objects; 0 pastes nothing.
        same_class: probability that a piece takes the class of the object it is pasted on.
        outline: with ``objects``, probability that the input shows void outlines. Otherwise its
            edges look like those of a semantic network.
        merge: probability that the input shows all classes as one; the losses keep them apart.
        permute: permute the class ids of every scene, so that the network cannot rely on them.
    """

    side: int = 256
    longest: tuple[int, int] = (224, 416)
    flip: float = 0.5
    objects: bool = True
    pieces: int = 3
    same_class: float = 0.6
    outline: float = 0.35
    merge: float = 0.1
    permute: bool = True

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: one is out of its range.
        """
        check_multiple(self, "side", 16, least=16)
        if not 1 <= self.longest[0] <= self.longest[1]:
            raise InputError(f"longest: expected 1 <= lowest <= highest, got {self.longest}")
        check_at_least(self, {"pieces": 0})
        check_fraction(self, "flip", "same_class", "outline", "merge")


@dataclass(frozen=True)
class Scene:
    """One training example.

    Attributes:
        labels: (S, S) uint8, the input of the network.
        regions: (S / 4, S / 4) int64, what the losses compare: 0 background, -1 void, else
            classes, or objects.
        truth: (S, S) int64, the regions at full size, for measuring.
    """

    labels: UInt8Array
    regions: IntArray
    truth: IntArray


def pick_source(sources: Sequence[LabelMapSource], chance: Chance) -> LabelMapSource:
    """Choose a collection of label maps, all equally often."""
    return sources[int(chance.integers(len(sources)))]


def draw_scene(sources: Sequence[LabelMapSource], config: SceneConfig, chance: Chance) -> Scene:
    """Draw one scene.

    Args:
        sources: collections of label maps, chosen equally often.
        config: how.
        chance: the only source of chance.
    """
    labels = _crop(_draw_map(sources, config, chance), config.side, chance)
    if config.objects:
        labels, regions = fill_outlines(labels, number_objects(labels), _OUTLINE)
    else:
        regions = np.where(labels == VOID, VOID_REGION, labels.astype(np.int64))
    for number in range(1, int(chance.integers(config.pieces + 1)) + 1):
        # Above every class and every object of the label map.
        _paste(labels, regions, 4096 + number, _draw_map(sources, config, chance), config, chance)
    middle = CELL // 2
    shown = _show(labels, regions, config, chance) if config.objects else labels
    shown = _permuted(shown, chance) if config.permute else shown
    if chance.random() < config.merge:
        shown = np.where((shown > 0) & (shown < VOID), 1, shown).astype(np.uint8)
    return Scene(shown, np.ascontiguousarray(regions[middle::CELL, middle::CELL]), regions)


def _show(labels: UInt8Array, regions: IntArray, config: SceneConfig, chance: Chance) -> UInt8Array:
    """Turn the filled label map into the network's input: outlined, or with soft edges."""
    if chance.random() < config.outline:
        return draw_outlines(labels, regions, int(chance.integers(1, 4)))
    return soften(labels, chance)


def _draw_map(sources: Sequence[LabelMapSource], config: SceneConfig, chance: Chance) -> UInt8Array:
    """Draw a label map at a random scale, mirrored or not."""
    for _ in range(_TRIES if config.objects else 1):
        source = pick_source(sources, chance)
        labels = source[int(chance.integers(len(source)))]
        if (labels == VOID).any():
            break
    factor = int(chance.integers(config.longest[0], config.longest[1] + 1)) / max(labels.shape)
    size = (max(1, round(labels.shape[1] * factor)), max(1, round(labels.shape[0] * factor)))
    labels = np.asarray(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
    return labels[:, ::-1] if chance.random() < config.flip else labels


def _crop(labels: UInt8Array, side: int, chance: Chance) -> UInt8Array:
    """Cut a random square; void where the label map ends."""
    result = np.full((side, side), VOID, dtype=np.uint8)
    spans = []
    for length in labels.shape:
        spare = length - side
        start = int(chance.integers(min(spare, 0), max(spare, 0) + 1))
        spans.append((max(start, 0), max(-start, 0), min(length, side)))
    (y, to_y, height), (x, to_x, width) = spans
    result[to_y : to_y + height, to_x : to_x + width] = labels[y : y + height, x : x + width]
    return result


def _paste(
    labels: UInt8Array,
    regions: IntArray,
    number: int,
    other: UInt8Array,
    config: SceneConfig,
    chance: Chance,
) -> None:
    """Paste one connected piece of another label map, in place."""
    found = _draw_piece(other, chance)
    ys, xs = np.nonzero((labels > 0) & (labels < VOID))
    if found is None or not len(ys):
        return
    piece, class_id = found
    anchor = int(chance.integers(len(ys)))
    piece = _sized(piece, int((regions == regions[ys[anchor], xs[anchor]]).sum()), chance)
    shift = chance.uniform(-0.7, 0.7, 2)
    if chance.random() < config.same_class:
        class_id = int(labels[ys[anchor], xs[anchor]])
        # Beside the anchor and not over it: a piece inside an object of its class is invisible.
        shift[int(chance.integers(2))] = chance.choice((-1, 1)) * chance.uniform(0.35, 0.7)
    height, width = piece.shape
    top = int(ys[anchor] + (shift[0] - 0.5) * height)
    left = int(xs[anchor] + (shift[1] - 0.5) * width)
    target = _placed(piece, (top, left), labels.shape)
    if chance.random() < 0.3:  # behind the other objects
        target &= labels == 0
    labels[target] = class_id
    regions[target] = number if config.objects else number * 256 + class_id


def _draw_piece(labels: UInt8Array, chance: Chance) -> tuple[BoolArray, int] | None:
    """Draw one connected piece of some class, cut to its box; None where all are tiny."""
    classes = [c for c in present_labels(labels) if c not in (0, VOID)]
    if not classes:
        return None
    class_id = classes[int(chance.integers(len(classes)))]
    binary = (labels == class_id).astype(np.uint8)
    count, numbered, stats, _ = cv2.connectedComponentsWithStats(binary, connectivity=8)
    large = np.flatnonzero(stats[1:count, cv2.CC_STAT_AREA] >= 0.002 * labels.size) + 1
    if not len(large):
        return None
    chosen = int(large[int(chance.integers(len(large)))])
    x, y, width, height = (int(v) for v in stats[chosen, :4])
    return numbered[y : y + height, x : x + width] == chosen, class_id


def _sized(piece: BoolArray, area: int, chance: Chance) -> BoolArray:
    """Scale a piece to about the area of what it is pasted beside."""
    factor = math.sqrt(area / piece.sum()) * math.exp(chance.uniform(-0.8, 0.5))
    factor = min(max(factor, 0.25), 4.0)
    size = (max(1, round(piece.shape[1] * factor)), max(1, round(piece.shape[0] * factor)))
    small = cv2.resize(piece.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(small, dtype=np.bool_)


def _placed(piece: BoolArray, corner: tuple[int, int], shape: tuple[int, ...]) -> BoolArray:
    """Put a piece into an empty mask; what lies outside is cut off."""
    result = np.zeros(shape, dtype=np.bool_)
    (top, left), (height, width) = corner, piece.shape
    y0, y1 = max(top, 0), min(top + height, shape[0])
    x0, x1 = max(left, 0), min(left + width, shape[1])
    if y0 < y1 and x0 < x1:
        result[y0:y1, x0:x1] = piece[y0 - top : y1 - top, x0 - left : x1 - left]
    return result


def _permuted(labels: UInt8Array, chance: Chance) -> UInt8Array:
    """Give every class another id; background and void keep theirs."""
    table = np.arange(256, dtype=np.uint8)
    table[1:VOID] = chance.permutation(np.arange(1, VOID, dtype=np.uint8))
    return table[labels]
