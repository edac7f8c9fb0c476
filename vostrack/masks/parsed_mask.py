"""A first mask as it was read, before it is checked against the video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from vostrack.arrays import FloatArray, IntArray, UInt8Array
from vostrack.masks.background import is_inverted

__all__ = ["KnownBy", "ParsedMask", "renumbered", "turned"]

KnownBy = Literal["ids", "names", "files"]


@dataclass(frozen=True)
class ParsedMask:
    """A first mask that has been read but not yet checked against the video.

    Attributes:
        labels: (H, W) uint8; 0 background, 1..254 ids, 255 void.
        names: names of the ids in the source, if they differ from the numbers.
        warnings: what the user should know about how the source was read.
        alpha: (H, W) float32 in [0, 1], the soft mask of each id, if edges were smoothed.
        frame: number of the frame that the source states; None if it states none.
        known_by: what tells an object in other frames; see ``FirstMask``.
        identities: other names to tell the ids by, the surest first; see ``FirstMask``.
    """

    labels: UInt8Array
    names: Mapping[int, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    alpha: Mapping[int, FloatArray] | None = None
    frame: int | None = None
    known_by: KnownBy = "ids"
    identities: tuple[Mapping[int, str], ...] = ()

    def noted(self, *notes: str) -> ParsedMask:
        """Return the mask with further warnings in front."""
        return replace(self, warnings=(*notes, *self.warnings))


def turned(parsed: ParsedMask, origin: str) -> ParsedMask:
    """Invert a black and white mask that shows a black object on white.

    Args:
        parsed: a mask; it is judged if its only id is 1.
        origin: name of the mask in messages.
    """
    white = parsed.labels == 1
    if not white.any() or (~white & (parsed.labels != 0)).any():
        return parsed
    inverted = is_inverted(white)
    if inverted is None:
        return parsed.noted(
            f"{origin}: white surrounds the black region on most sides; check that the mask is not "
            "inverted; white is read as the object"
        )
    if not inverted:
        return parsed
    alpha = None if parsed.alpha is None else {1: 1 - parsed.alpha[1]}
    return replace(parsed, labels=(~white).astype(np.uint8), alpha=alpha).noted(
        f"{origin}: the mask shows a black object on white, so it was inverted; if white is the "
        "object, save it with value 1 in place of 255"
    )


def renumbered(values: IntArray, levels: IntArray) -> ParsedMask:
    """Number the given values 1..N; their names keep the values."""
    labels = np.zeros(values.shape, dtype=np.uint8)
    for new, old in enumerate(levels, start=1):
        labels[values == old] = new
    names = {new: str(old) for new, old in enumerate(levels, start=1)}
    return ParsedMask(labels, names, known_by="names")
