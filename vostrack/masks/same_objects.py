"""Which objects in the masks of several frames are the same: their ids then agree."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from vostrack.errors import InputError
from vostrack.masks.palette import VOID
from vostrack.masks.validation import FirstMask

__all__ = ["with_same_ids"]

# What an object is called, and how many before it in its mask are called the same.
_Key = tuple[str, int]

_LAST_NUMBER = re.compile(r"0*(\d+)(?!.*\d)", flags=re.DOTALL)


def with_same_ids(
    masks: Mapping[int, FirstMask],
    taken: Collection[int] = (),
    among: Mapping[int, FirstMask] | None = None,
) -> tuple[dict[int, FirstMask], tuple[str, ...]]:
    """Give every object the same id in all masks.

    Colours, labels, values above 254 and files have no ids, so each mask was numbered by itself.
    Objects of the same colour, label, value or file name are the same object. Others are new, and
    get free ids. Files that have no name in common keep their order. Ids that a source states stay,
    and so do those of the first mask: later masks with ids mean what results show.

    Args:
        masks: by the numbers of their frames.
        taken: ids in further masks.
        among: masks that were matched before, by the numbers of their frames.

    Returns:
        The masks, in ascending order of their frames; and one sentence for each later mask that
        states no ids.

    Raises:
        InputError: two objects of a mask would have the same id, or there is no id left.
    """
    ordered = {frame: masks[frame] for frame in sorted(masks)}
    used = {i for mask in ordered.values() if mask.known_by == "ids" for i in mask.ids}
    used |= set(taken)
    known: dict[_Key, int] = {}
    for frame, mask in (among or {}).items():
        used |= set(mask.ids)
        _learn(known, _candidates(mask, frame), mask.ids)
    found: dict[int, FirstMask] = {}
    notes: list[str] = []
    for frame, mask in ordered.items():
        candidates = _candidates(mask, frame)
        ids = _ids(mask, candidates, known, used)
        if len(set(ids)) < len(ids):
            raise InputError(
                f"first_mask: two objects of frame {frame} ({', '.join(mask.names)}) would both be "
                f"object {max(ids, key=ids.count)}, expected different ones; mark the same objects "
                "in the same way in all frames, with the same colours, labels or values"
            )
        if found and mask.known_by != "ids":
            notes.append(_note(frame, mask, ids, set(known.values())))
        _learn(known, candidates, ids)
        used |= set(ids)
        found[frame] = _renumbered(mask, ids)
    return found, tuple(notes)


def _candidates(mask: FirstMask, frame: int) -> list[list[_Key]]:
    """Return what the objects may be known by; the first that is known counts."""
    found = [_keys(names) for names in (*mask.identities, mask.names)]
    if mask.known_by == "files":
        # The names may hold the number of the frame.
        found += [_keys([_without(name, frame) for name, _ in keys]) for keys in found]
    return found


def _learn(
    known: dict[_Key, int], candidates: Sequence[Sequence[_Key]], ids: Sequence[int]
) -> None:
    for keys in candidates:
        for key, number in zip(keys, ids, strict=True):
            known.setdefault(key, number)


def _keys(names: Sequence[str]) -> list[_Key]:
    return [(name, list(names[:k]).count(name)) for k, name in enumerate(names)]


def _without(name: str, number: int) -> str:
    """Return a name without its last number, if that is ``number``."""
    last = _LAST_NUMBER.search(name)
    if last is None or int(last[1]) != number:
        return name
    return name[: last.start()] + name[last.end() :]


def _ids(
    mask: FirstMask,
    candidates: Sequence[Sequence[_Key]],
    known: Mapping[_Key, int],
    used: Collection[int],
) -> list[int]:
    if mask.known_by == "ids":
        return list(mask.ids)
    keys = next((keys for keys in candidates if any(key in known for key in keys)), None)
    if not known or (keys is None and mask.known_by == "files"):
        return list(mask.ids)
    free = iter(sorted(set(range(1, VOID)) - set(used)))
    ids = [known.get(key) or next(free, VOID) for key in keys or candidates[0]]
    if VOID in ids:
        raise InputError(
            "first_mask: the masks of all frames have more than 254 objects (a label map has 8 "
            "bits); mark fewer, or track them in several runs"
        )
    return ids


def _note(frame: int, mask: FirstMask, ids: Sequence[int], known: Collection[int]) -> str:
    if mask.names == ("1",) and list(ids) == [1]:
        return (
            f"mask of frame {frame}: object 1, because white alone states no object; if it is "
            "another one, give it a colour or an id of its own"
        )
    told = [
        f"{name} is {'object' if number in known else 'the new object'} {number}"
        for name, number in list(zip(mask.names, ids, strict=True))[:8]
    ]
    return f"mask of frame {frame}: {', '.join(told)}{', ...' if len(ids) > 8 else ''}"


def _renumbered(mask: FirstMask, ids: Sequence[int]) -> FirstMask:
    """Return a mask with other ids, which now count in every frame."""
    table = np.arange(256, dtype=np.uint8)
    table[list(mask.ids)] = ids
    order = sorted(range(len(ids)), key=lambda k: ids[k])
    return replace(
        mask,
        labels=table[mask.labels] if list(mask.ids) != list(ids) else mask.labels,
        ids=tuple(ids[k] for k in order),
        names=tuple(mask.names[k] for k in order),
        alpha=None if mask.alpha is None else mask.alpha[order],
        identities=tuple(tuple(names[k] for k in order) for names in mask.identities),
        known_by="ids",
    )
