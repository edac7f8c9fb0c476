"""Scores of the object models and of refiners, checked in every frame: both may be strangers' code.

Values are summed up on the device. The sums are copied while the device works, and read after the
next lap of the stopwatch, which waits for the device anyway: the host never waits for a check.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vostrack.errors import InputError
from vostrack.plug_ins import naming_errors, whose
from vostrack.protocols import ObjectAdapter, ObjectScores, Refiner
from vostrack.tracking.stopwatch import Stopwatch

__all__ = ["refined_scores", "scores_of"]

# How far rounding may take a refined score out of [0, 1].
_ROUNDING = 1e-3


def scores_of(adapter: ObjectAdapter, image: Tensor, watch: Stopwatch) -> ObjectScores:
    """Score a frame, and check that every score is a finite number.

    Args:
        adapter: the object models.
        image: (3, h, w) in [0, 1].
        watch: measures the stage ``networks``.

    Raises:
        InputError: a score, a presence or a foreground probability is NaN or infinite.
    """
    scores, foreground = adapter.scores(image)
    total = scores.sum(dtype=torch.float32)
    # Object models that take features of NaN for an empty frame say so in the presence only.
    for more in (foreground, adapter.presence()):
        if more is not None:
            total = total + more.sum(dtype=torch.float32)
    total = _copied(total)
    watch.lap("networks")
    if not math.isfinite(total.item()):
        raise InputError(
            f"scores: the networks ({type(adapter).__name__}) give scores of this frame that are "
            "NaN or infinite; expected numbers in [0, 1]; choose other `weights`, or train them "
            'on another backbone; with 16-bit numbers, try `precision="fp32"`'
        )
    return ObjectScores(scores, foreground)


def refined_scores(refiner: Refiner, image: Tensor, scores: Tensor, watch: Stopwatch) -> Tensor:
    """Refine scores, and check what comes back.

    The refiner gets copies, so that it may write into them: the object models learn from these
    scores later.

    Args:
        refiner: of the tracker.
        image: (3, h, w) in [0, 1].
        scores: (N, h, w) in [0, 1].
        watch: measures the stage ``refiner``.

    Returns:
        The refined scores (N, h, w), float32 in [0, 1].

    Raises:
        InputError: a plug-in fails; or the result is no tensor of the same shape, on the same
            device and in [0, 1].
    """
    with naming_errors(refiner):
        result = refiner(image.clone(), scores.clone())
    got = _difference(result, scores)
    if got is not None:
        raise InputError(
            f"{whose(refiner, 'refiner')} gave {got}; expected a floating-point tensor of the "
            f"shape {tuple(scores.shape)} on {scores.device}, like the scores that it was given; "
            "repair it, or choose another `refiner`"
        )
    result = result.float()
    ends = _copied(torch.stack((result.amin(), result.amax())))
    watch.lap("refiner")
    least, most = ends.tolist()
    if not (least >= -_ROUNDING and most <= 1 + _ROUNDING):  # NaN is refused, too
        raise InputError(
            f"{whose(refiner, 'refiner')} gave scores from {least:g} to {most:g}; expected "
            "probabilities in [0, 1]; repair it, or choose another `refiner`"
        )
    return result


def _difference(result: object, scores: Tensor) -> str | None:
    """Return how a result is unlike the scores; None if it is like them."""
    if not isinstance(result, Tensor):
        return f"an object of the type {type(result).__name__}"
    if result.shape != scores.shape:
        return f"a tensor of the shape {tuple(result.shape)}"
    if result.device != scores.device:
        return f"a tensor on {result.device}"
    if not result.dtype.is_floating_point:
        return f"a tensor of {str(result.dtype).removeprefix('torch.')}"
    return None


def _copied(numbers: Tensor) -> Tensor:
    """Copy a few numbers to the host. They are there once the device has been waited for."""
    return numbers.to("cpu", non_blocking=True)
