"""Which is which after objects touched: pieces are matched by motion, look and size.

When look-alikes touch, a target model often gives both to one object. How they moved before tells
where each should come out, and once they are apart, their looks are compared as wholes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.tracking.pixel_sums import label_areas, pixel_sums
from vostrack.tracking.support.contact import Contact, Motion, Piece, touching, within
from vostrack.tracking.support.piece_matching import (
    LEAST_SEEN,
    Looks,
    labelled_share,
    match_pieces,
)

__all__ = ["IdentityKeeper"]

# Motion is learned from objects that are told apart if all of them are seen nearly whole.
_WHOLE = (0.75, 1.35)
# Discs overlap at 0.56 of the sum of the square roots of their areas.
_MEETING = 0.65
# Frames for which labels must be in doubt before they are changed.
_DOUBT = 2
# Frames apart after which a contact is over, and its longest duration.
_APART, _LONGEST = 5, 120


class IdentityKeeper:
    """Keeps objects apart that touch or cross. It holds what it knows between frames."""

    def __init__(self) -> None:
        self._motions: tuple[Motion | None, ...] = ()
        self._contacts: tuple[Contact, ...] = ()

    @property
    def busy(self) -> bool:
        """Whether objects touch, so that ``keep`` may change something."""
        return bool(self._contacts)

    def start(self, labels: UInt8Array, count: int) -> None:
        """Start from a label map (h, w) uint8 of slots 1..count."""
        self._motions = tuple(_seen(None, labels, slot) for slot in range(1, count + 1))
        self._contacts = ()
        self._contacts = self._touching(labels)

    def forget_places(self) -> None:
        """Forget motion and contacts: a new shot begins."""
        self._motions = (None,) * len(self._motions)
        self._contacts = ()

    def change_objects(self, labels: UInt8Array, before: Sequence[int | None]) -> None:
        """Go on with other objects; see ``vostrack.tracking.parts.FollowsEdits``."""
        known = self._motions
        self._motions = tuple(
            _seen(None, labels, slot) if old is None else known[old - 1]
            for slot, old in enumerate(before, start=1)
        )
        self._contacts = ()
        self._contacts = self._touching(labels)

    def keep(self, scores: FloatArray, labels: UInt8Array, looks: Looks) -> FloatArray:
        """Give the pieces of objects that touched to the right ones.

        Args:
            scores: (N, h, w) in [0, 1].
            labels: (h, w) uint8, their label map; slots.
            looks: see ``Looks``.

        Returns:
            The scores; a changed copy where identities were in doubt.
        """
        contacts = []
        for contact in self._contacts:
            contact = contact.after(float(np.count_nonzero(within(labels, contact.slots))))
            matched, sure = match_pieces(contact, labels, looks)
            if matched:
                wrong = any(
                    labelled_share(labels, slot, piece) < 0.5 for slot, piece in matched.items()
                )
                contact = replace(contact, doubt=contact.doubt + 1 if wrong else 0)
                if contact.doubt >= _DOUBT or contact.settled:
                    scores = _given(scores, contact.slots, matched)
                    contact = replace(contact, settled=True)
                contact = replace(contact, sure=sure)
                if sure and (contact.settled or not wrong):
                    contact = _told_apart(contact, matched)
            else:
                contact = replace(contact, doubt=0, sure=True)
            contacts.append(contact)
        self._contacts = tuple(contacts)
        return scores

    def commit(self, labels: UInt8Array) -> None:
        """Learn from the final label map (h, w) uint8 of the frame."""
        kept = []
        for contact in self._contacts:
            apart = contact.sure and not contact.doubt and _apart(contact, labels)
            contact = replace(contact, apart=contact.apart + 1 if apart else 0)
            if contact.apart < _APART and contact.age < _LONGEST:
                kept.append(contact)
        self._contacts = tuple(kept)
        busy = {slot for contact in kept for slot in contact.slots}
        self._motions = tuple(
            motion if slot in busy else _seen(motion, labels, slot)
            for slot, motion in enumerate(self._motions, start=1)
        )
        self._contacts = self._touching(labels)

    def _touching(self, labels: UInt8Array) -> tuple[Contact, ...]:
        """Return the contacts with those that begin in this frame; overlapping ones are joined."""
        groups = [set(contact.slots) for contact in self._contacts]
        areas = label_areas(labels, len(self._motions))
        seen = [k for k, motion in enumerate(self._motions, start=1) if motion and areas[k]]
        for pair in combinations(seen, 2):
            if any(set(pair) <= group for group in groups):
                continue
            if self._will_meet(pair) or touching(labels, pair, float(min(areas[list(pair)]))):
                joined = set(pair).union(*(group for group in groups if group & set(pair)))
                groups = [group for group in groups if not group & joined] + [joined]
        return tuple(self._contact(tuple(sorted(group))) for group in groups)

    def _will_meet(self, pair: Sequence[int]) -> bool:
        """Tell whether two objects overlap in the next frame if they go on as before."""
        one, other = (self._motions[slot - 1] for slot in pair)
        if one is None or other is None:
            return False
        way = float(np.hypot(*np.subtract(one.ahead(1), other.ahead(1))))
        return way < _MEETING * (one.size + other.size)

    def _contact(self, slots: tuple[int, ...]) -> Contact:
        for contact in self._contacts:
            if contact.slots == slots:
                return contact
        known = {
            slot: motion.ahead(contact.age)
            for contact in self._contacts
            for slot, motion in zip(contact.slots, contact.motions, strict=True)
        }
        motions = []
        for slot in slots:
            motion = self._motions[slot - 1]
            assert motion is not None
            motions.append(replace(motion, center=known.get(slot, motion.center)))
        return Contact(slots, tuple(motions))

    def state_dict(self) -> dict[str, Any]:
        """Return what changes between frames."""
        return {
            "motions": [None if m is None else m.state_dict() for m in self._motions],
            "contacts": [contact.state_dict() for contact in self._contacts],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the result of ``state_dict``."""
        self._motions = tuple(None if m is None else Motion.from_state(m) for m in state["motions"])
        self._contacts = tuple(Contact.from_state(each) for each in state["contacts"])


def _seen(motion: Motion | None, labels: UInt8Array, slot: int) -> Motion | None:
    """Return the motion of an object after a frame; unchanged where it is not seen whole."""
    area, x, y = pixel_sums(labels == slot)
    if not area:
        return motion
    center = (x / area, y / area)
    if motion is None:
        return Motion(center, (), area)
    return motion.moved(center, area)


def _given(scores: FloatArray, slots: Sequence[int], matched: Mapping[int, Piece]) -> FloatArray:
    """Return scores in which each piece is that of its object."""
    changed = scores.copy()
    group = [slot - 1 for slot in slots]
    for slot, piece in matched.items():
        mask, part = piece.mask[piece.box], (slice(None), *piece.box)
        here, best = changed[part], scores[part][group][:, mask].max(axis=0)
        for other in group:
            here[other][mask] = np.minimum(here[other][mask], 1 - best)
        here[slot - 1][mask] = best
    return changed


def _told_apart(contact: Contact, matched: Mapping[int, Piece]) -> Contact:
    """Return a contact after its objects were told apart."""
    for slot, motion in zip(contact.slots, contact.motions, strict=True):
        if not _WHOLE[0] <= matched[slot].area / max(motion.area, 1.0) <= _WHOLE[1]:
            return contact
    motions = tuple(
        motion.moved(matched[slot].center, matched[slot].area, max(contact.age, 1))
        for slot, motion in zip(contact.slots, contact.motions, strict=True)
    )
    return replace(contact, motions=motions, age=0, depth=1.0)


def _apart(contact: Contact, labels: UInt8Array) -> bool:
    """Tell whether all objects of a contact are seen, and none touches another."""
    areas = {slot: float((labels == slot).sum()) for slot in contact.slots}
    if any(
        areas[slot] < LEAST_SEEN * motion.area
        for slot, motion in zip(contact.slots, contact.motions, strict=True)
    ):
        return False
    return not any(
        touching(labels, pair, min(areas[slot] for slot in pair))
        for pair in combinations(contact.slots, 2)
    )
