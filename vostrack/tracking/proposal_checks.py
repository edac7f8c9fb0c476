"""What a proposer returns is checked wherever one is asked: it may be a stranger's code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.plug_ins import naming_errors, whose
from vostrack.protocols import InstanceProposals

__all__ = ["asked"]

# How far rounding may take a score out of [0, 1].
_ROUNDING = 1e-3


def asked(
    proposer: object, frame: UInt8Array, propose: Callable[[UInt8Array], InstanceProposals]
) -> InstanceProposals:
    """Ask a proposer about a frame, and check its answer.

    Args:
        proposer: its name is in the errors.
        frame: (H, W, 3) uint8 RGB, what it is asked about.
        propose: asks it about a copy of the frame, so that it may draw into it.

    Returns:
        The proposals, put into the order of their scores where they are in another.

    Raises:
        InputError: a plug-in fails; or the answer is no ``InstanceProposals``, has masks of another
            size than the frame, scores outside [0, 1], or boxes or labels that are no such numbers.
    """
    with naming_errors(proposer):
        found = propose(frame.copy())
    fault = _fault(found, frame)
    if fault is not None:
        raise InputError(
            f"{whose(proposer, 'proposer')} gave {fault}; repair it, or choose another proposer"
        )
    return _best_first(found)


def _fault(found: object, frame: UInt8Array) -> str | None:
    """Return what is wrong with an answer and what was expected; None if nothing is."""
    if not isinstance(found, InstanceProposals):
        return f"an object of the type {type(found).__name__}; expected InstanceProposals"
    height, width = frame.shape[:2]
    rows, columns = found.masks.shape[1:]
    if (rows, columns) != (height, width):
        return (
            f"masks of {columns} x {rows} pixels; expected {width} x {height} pixels, the size of "
            "the frame it was given"
        )
    if not len(found):
        return None
    least, most = found.scores.min(), found.scores.max()
    if not (least >= -_ROUNDING and most <= 1 + _ROUNDING):  # NaN is refused, too
        return f"scores from {least:g} to {most:g}; expected numbers in [0, 1]"
    if not np.isfinite(found.boxes).all():
        return "boxes with NaN or infinite values; expected x0, y0, x1, y1 in pixels"
    if not np.issubdtype(found.labels.dtype, np.integer):
        return f"labels of {found.labels.dtype}; expected whole numbers, 0 for no class"
    return None


def _best_first(found: InstanceProposals) -> InstanceProposals:
    """Return the proposals in the order of their scores; equal ones keep theirs."""
    order = np.argsort(-found.scores, kind="stable")
    if (order[1:] > order[:-1]).all():
        return found
    return replace(
        found,
        masks=found.masks[order],
        scores=found.scores[order],
        labels=found.labels[order],
        boxes=found.boxes[order],
        soft=None if found.soft is None else found.soft[order],
        names=None if found.names is None else tuple(found.names[k] for k in order),
    )
