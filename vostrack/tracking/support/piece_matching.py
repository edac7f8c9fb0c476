"""Matching the pieces of objects that touched with the objects: by place, look, size and label."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from vostrack.arrays import BoolArray, DoubleArray, FloatArray, UInt8Array
from vostrack.tracking.support.assignment import best_assignment
from vostrack.tracking.support.contact import Contact, Piece, pieces_of, within

__all__ = ["LEAST_SEEN", "Looks", "labelled_share", "match_pieces"]

LEAST_SEEN = 0.35
"""An object is seen from this share of its area on."""

# A piece can be an object if its area is between these shares of the object's.
_AREAS = (LEAST_SEEN, 1.9)
# And if it lies no farther from where the object should be than this many of its sides, plus some
# for every frame that it was out of sight.
_REACH, _REACH_GROWTH = 1.0, 0.08
# Costs: of a distance of one side, of pixels that are labelled otherwise, of a size of e times, and
# of a look that is worse by a cosine of 1.
_BY_PLACE, _BY_LABEL, _BY_AREA, _BY_LOOK = 1.0, 0.6, 0.4, 1.5
# Pieces may fit the objects' sizes worse than the labels do by so much, in logarithms of areas; one
# object counts for no more than the second number.
_SLACK, _FARTHEST = 0.2, 2.0
# Labels that are one to one with the pieces stand unless others are better by this much.
_HYSTERESIS = 0.5
# Labels that are one to one are sure if they are better than with two objects exchanged by this.
_SURE = 1.0
_IMPOSSIBLE = 1e6

Looks = Callable[[Sequence[BoolArray]], FloatArray | None]
"""Returns (K, N) how much K masks (h, w) look like each object, as a cosine; None if unknown."""


def match_pieces(
    contact: Contact, labels: UInt8Array, looks: Looks
) -> tuple[dict[int, Piece], bool]:
    """Match the objects of a contact with the pieces of their union.

    Returns:
        The piece of each object, none if they are not apart; and whether that is sure.
    """
    areas = [motion.area for motion in contact.motions]
    union = within(labels, contact.slots)
    pieces = pieces_of(union, _AREAS[0] * min(areas))
    if len(pieces) < len(contact.slots):
        return {}, False
    costs = _costs(contact, labels, pieces)
    told = looks([piece.mask for piece in pieces])
    if told is not None:
        costs -= _BY_LOOK * np.nan_to_num(told[:, [slot - 1 for slot in contact.slots]].T)
    rows, columns = best_assignment(costs)
    if costs[rows, columns].max() > _IMPOSSIBLE / 2:
        return {}, False
    chosen: list[int] = columns.tolist()
    present = _as_labelled(contact, labels, pieces)
    if present is not None and not contact.passed and not contact.settled:
        return {slot: pieces[k] for slot, k in zip(contact.slots, present, strict=True)}, True
    if present is not None and present != chosen:
        total, stays = costs[rows, columns].sum(), costs[rows, present].sum()
        if stays < total + _HYSTERESIS:
            chosen = present
    elif present is None and not _sizes_fit(contact, labels, [pieces[k].area for k in chosen]):
        return {}, False
    matched = {slot: pieces[k] for slot, k in zip(contact.slots, chosen, strict=True)}
    return matched, present is None or _margin(costs, chosen) >= _SURE


def _margin(costs: DoubleArray, chosen: Sequence[int]) -> float:
    """Return by how much a matching is better than with any two of its objects exchanged."""
    return min(
        float(costs[i, chosen[k]] + costs[k, chosen[i]] - costs[i, chosen[i]] - costs[k, chosen[k]])
        for i, k in combinations(range(len(chosen)), 2)
    )


def _costs(contact: Contact, labels: UInt8Array, pieces: Sequence[Piece]) -> DoubleArray:
    """Return (objects, pieces) how badly each piece fits each object."""
    costs = np.empty((len(contact.slots), len(pieces)))
    expected = contact.expected()
    for i, (slot, motion) in enumerate(zip(contact.slots, contact.motions, strict=True)):
        for k, piece in enumerate(pieces):
            ratio = piece.area / max(motion.area, 1.0)
            way = float(np.hypot(*np.subtract(piece.center, expected[i]))) / motion.size
            if not _AREAS[0] <= ratio <= _AREAS[1] or way > _REACH + _REACH_GROWTH * contact.age:
                costs[i, k] = _IMPOSSIBLE
                continue
            costs[i, k] = (
                _BY_PLACE * way
                + _BY_LABEL * (1 - labelled_share(labels, slot, piece))
                + _BY_AREA * abs(np.log(ratio))
            )
    return costs


def _as_labelled(contact: Contact, labels: UInt8Array, pieces: Sequence[Piece]) -> list[int] | None:
    """Return the piece of each object as they are labelled; None unless it is one to one."""
    found = []
    for slot in contact.slots:
        shares = [labelled_share(labels, slot, piece) for piece in pieces]
        best = int(np.argmax(shares))
        if shares[best] < 0.5:
            return None
        found.append(best)
    return found if len(set(found)) == len(found) else None


def _sizes_fit(contact: Contact, labels: UInt8Array, areas: Sequence[float]) -> bool:
    """Tell whether these areas fit the objects of a contact about as well as the labelled ones.

    Where they don't, an object has come apart, behind a pole for example, and the labels are right.
    """
    now = [float((labels == slot).sum()) for slot in contact.slots]
    off = [
        sum(
            min(abs(math.log(max(area, 1.0) / max(motion.area, 1.0))), _FARTHEST)
            for area, motion in zip(given, contact.motions, strict=True)
        )
        for given in (areas, now)
    ]
    return off[0] <= off[1] + _SLACK


def labelled_share(labels: UInt8Array, slot: int, piece: Piece) -> float:
    """Return the share of a piece that is labelled as an object."""
    own = piece.mask[piece.box] & (labels[piece.box] == slot)
    return np.count_nonzero(own) / piece.area
