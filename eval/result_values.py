"""What the values of a sequence's result masks mean: ids, black and white, or soft gray."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from vostrack.arrays import IntArray
from vostrack.eval.result_image import ResultImage, nearest_ids
from vostrack.masks.palette import VOID, davis_palette

__all__ = ["ExpectedIds", "MaskRule", "Survey", "choose_rule", "survey"]

_MOST_LEVELS = 8
"""Images of one object with more levels of gray are soft; with fewer, the levels are ids."""

_HIGHEST_ID = 20
"""Values up to this one are never taken for brightnesses."""

_MOST_COLOURS = 255

_CLEAR_SHARE = 0.97
"""A coloured mask of which fewer pixels are clear is a photograph or has other colours."""


@dataclass(frozen=True)
class ExpectedIds:
    """The ids that the masks of a sequence may hold.

    Attributes:
        ids: ids of the objects in the truth, or of the proposals that are allowed.
        binary: whether any id is the one object (DAVIS 2016).
        proposals: whether ids are free, because proposals are matched with the objects.
    """

    ids: tuple[int, ...]
    binary: bool = False
    proposals: bool = False


@dataclass
class Survey:
    """The values that the masks of one kind have in a whole sequence.

    Attributes:
        levels: the values of gray and indexed masks.
        colours: the colours (0xRRGGBB) of coloured ones; at most 256 are kept.
        white: the largest value that one of the files can store.
        lossy: whether one is a JPEG or the like.
        count: number of masks.
    """

    levels: set[int] = field(default_factory=set)
    colours: set[int] = field(default_factory=set)
    white: int = 1
    lossy: bool = False
    count: int = 0

    def add(self, image: ResultImage) -> None:
        """Note the values of one mask."""
        self.count += 1
        self.lossy |= image.lossy
        self.white = max(self.white, image.white)
        if image.kind != "colour":
            self.levels |= _distinct(image.values) if image.levels is None else image.levels
        elif len(self.colours) <= _MOST_COLOURS:
            self.colours |= _distinct((image.values << np.array((16, 8, 0))).sum(axis=-1))


@dataclass(frozen=True)
class MaskRule:
    """How values become ids.

    Attributes:
        labels: turns the values of an image into ids, or into -1 if it is no mask; None if none of
            the masks can be scored.
        note: what was reinterpreted, or why the masks cannot be scored; "" if values are ids.
    """

    labels: Callable[[IntArray], IntArray] | None
    note: str = ""


def survey(images: Iterable[ResultImage]) -> dict[str, Survey]:
    """Collect the values of the masks of a sequence, for each kind of image."""
    found: dict[str, Survey] = {}
    for image in images:
        found.setdefault(image.kind, Survey()).add(image)
    return found


def choose_rule(kind: str, seen: Survey, expected: ExpectedIds) -> MaskRule:
    """Decide what the values of the masks of one kind mean.

    * Values that are ids of the truth are ids.
    * A single object (or ``binary``): black and white is the object; more than 8 levels of gray
      up to a value above 20 are soft and cut at half.
    * Several objects: values that are the ids times a constant, or spread evenly up to white, are
      those ids. Black and white, of 1 bit too, JPEG and soft gray cannot be told apart into
      objects; gray of 0 and 1 is id 1, which is said.
    * Colours of the DAVIS palette are ids.

    Args:
        kind: "ids", "gray" or "colour".
        seen: the values in the whole sequence.
        expected: the ids that masks may hold.
    """
    ids, binary = expected.ids, expected.binary
    if kind == "colour":
        return _colour_rule(seen, ids, binary=binary)
    levels = np.array(sorted(seen.levels - {0}), dtype=np.int64)
    several = len(ids) > 1 and not binary and not expected.proposals
    if several and seen.levels <= {0, 1} and levels.size and seen.white == 1:
        return _black_and_white(1, len(ids))
    if not levels.size or (set(levels.tolist()) <= set(ids) and not seen.lossy):
        only_ones = several and kind == "gray" and levels.tolist() == [1]
        return MaskRule(_keep, _one_of_many(ids) if only_ones else "")
    white_only = levels.size == 1 and levels[0] == seen.white
    if binary or len(ids) == 1 or (expected.proposals and white_only):
        return _single_rule(levels, seen, ids[0], binary=binary)
    return _multiple_rule(levels, seen, ids)


def _single_rule(levels: IntArray, seen: Survey, number: int, *, binary: bool) -> MaskRule:
    """Interpret the levels above 0 of masks of one object."""
    highest = int(levels[-1])
    white = seen.white if seen.white > 255 and highest > 255 else min(seen.white, 255)
    if levels.size == 1 and (highest == white or binary) and 0 in seen.levels:
        note = "" if binary else f"black and white masks (0 and {highest}) are read as the object"
        return MaskRule(lambda values: (values > 0) * number, note)
    few = highest <= _HIGHEST_ID or _is_spread(levels, white) or _is_mixed(levels, number)
    if few and not seen.lossy:
        return MaskRule((lambda values: (values > 0) * number) if binary else _keep)
    note = (
        f"soft gray masks with values from {min(seen.levels)} to {highest} were cut at half of "
        f"{white}"
    )
    return MaskRule(lambda values: (2 * values > white) * number, note)


def _is_mixed(levels: IntArray, number: int) -> bool:
    """Tell whether levels are the object's id and void."""
    return bool(levels.tolist() == [number, VOID])


def _is_spread(levels: IntArray, white: int) -> bool:
    """Tell whether few levels divide the range up to white evenly, as 85, 170, 255 do."""
    if not 2 <= levels.size <= _MOST_LEVELS or levels[-1] != white:
        return False
    exact = np.arange(1, levels.size + 1) * (white / levels.size)
    return bool((np.abs(levels - exact) < 1).all())


def _black_and_white(white: int, count: int) -> MaskRule:
    """Refuse masks that cannot tell objects apart."""
    return MaskRule(
        None,
        f"black and white masks (0 and {white}), but the truth has {count} objects; save label "
        "maps of their ids",
    )


def _one_of_many(ids: tuple[int, ...]) -> str:
    """Say that gray masks hold 0 and 1 only, which may be ids or black and white."""
    others = _joined(number for number in ids if number != 1)
    return (
        f"gray masks of 0 and 1 are read as id 1, and no mask has {others}; if they are black and "
        "white masks of all objects, save label maps of their ids"
    )


def _multiple_rule(levels: IntArray, seen: Survey, ids: tuple[int, ...]) -> MaskRule:
    """Interpret the levels above 0 of masks of several objects."""
    count = len(ids)
    if seen.lossy:
        return MaskRule(
            None,
            f"JPEG changes ids, so {count} objects cannot be told apart; save PNG",
        )
    if levels.size == 1 and levels[0] == seen.white and seen.white >= VOID:
        return _black_and_white(int(levels[0]), count)
    if levels.size == count and not set(levels.tolist()) & set(ids):
        factors = levels / np.array(ids)
        scaled = levels[0] % ids[0] == 0 and bool((factors == factors[0]).all())
        if scaled or _is_spread(levels, seen.white):
            table = dict(zip(levels.tolist(), ids, strict=True))
            note = f"values {_joined(levels)} are read as ids {_joined(ids)}"
            return MaskRule(lambda values: _renumber(values, table), note)
    if levels.size > max(_MOST_LEVELS, 2 * count) and levels[-1] > _HIGHEST_ID:
        return MaskRule(
            None,
            f"gray masks with {levels.size} values from {levels[0]} to {levels[-1]} are no label "
            f"maps of {count} objects; save ids without smoothing",
        )
    return MaskRule(_keep)


def _colour_rule(seen: Survey, ids: tuple[int, ...], *, binary: bool) -> MaskRule:
    """Interpret coloured masks."""
    palette = {int(r) << 16 | int(g) << 8 | int(b): k for k, (r, g, b) in _palette()}
    others = seen.colours - {0}
    single = binary or len(ids) == 1
    if seen.colours <= set(palette):
        note = "colours of the DAVIS palette are read as ids"
        if single and len(others) == 1 and not binary and palette[min(others)] not in ids:
            return MaskRule(lambda rgb: _coloured(rgb) * ids[0], _of_one(others))
        return MaskRule(lambda rgb: _exact_ids(rgb, palette), note)
    if single and len(others) == 1:
        return MaskRule(lambda rgb: _coloured(rgb) * ids[0], _of_one(others))
    if single:
        return MaskRule(lambda rgb: _bright(rgb) * ids[0], "blurred colours were cut at half")
    return MaskRule(
        lambda rgb: _nearest(rgb, ids),
        "blurred colours of the DAVIS palette are read as the nearest ids",
    )


def _coloured(rgb: IntArray) -> IntArray:
    """Return 1 where a colour is not black."""
    return np.asarray(rgb.any(axis=-1), dtype=np.int64)


def _bright(rgb: IntArray) -> IntArray:
    """Return 1 where a colour is bright, 0 where it is dark; -1 throughout if many are neither."""
    peak = rgb.max(axis=-1)
    labels = (peak >= 128).astype(np.int64)
    clear = float(((peak < 64) | (peak >= 112)).mean())
    return labels if clear >= _CLEAR_SHARE else np.full_like(labels, -1)


def _nearest(rgb: IntArray, ids: tuple[int, ...]) -> IntArray:
    """Return the nearest ids; -1 throughout if many colours are near none of them."""
    labels, share = nearest_ids(rgb, ids)
    return labels if share >= _CLEAR_SHARE else np.full_like(labels, -1)


def _joined(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


def _of_one(colours: set[int]) -> str:
    return f"the colour #{min(colours):06x} is read as the object"


def _palette() -> list[tuple[int, tuple[int, int, int]]]:
    return [(k, (int(r), int(g), int(b))) for k, (r, g, b) in enumerate(davis_palette().tolist())]


def _exact_ids(rgb: IntArray, palette: dict[int, int]) -> IntArray:
    packed = (rgb << np.array((16, 8, 0))).sum(axis=-1)
    colours, places = np.unique(packed, return_inverse=True)
    found = np.array([palette[int(colour)] for colour in colours])
    return np.asarray(found[places.reshape(packed.shape)])


def _renumber(values: IntArray, table: dict[int, int]) -> IntArray:
    labels = np.zeros_like(values)
    for old, new in table.items():
        labels[values == old] = new
    return labels


def _keep(values: IntArray) -> IntArray:
    return values


def _distinct(values: IntArray) -> set[int]:
    top = int(values.max(initial=0))
    if top < 1 << 16:
        return set(np.flatnonzero(np.bincount(values.ravel(), minlength=1)).tolist())
    return set(np.unique(values).tolist())
