"""The optional parts of a tracker: whether they fit together, and loading them in advance."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch

from vostrack.errors import InputError
from vostrack.protocols import InstanceProposer, TemporalFilter

__all__ = ["HasWarmUp", "check_parts", "warm_up_parts"]


@runtime_checkable
class HasWarmUp(Protocol):
    """Optional interface of a part whose first use loads code, such as compiled loops."""

    def warm_up(self, device: torch.device) -> None:
        """Load it, so that the first frame takes no longer than the others.

        ``Tracker.start`` and ``Tracker.load_state`` call it. It must not change any result.

        Args:
            device: device of the tensors that the part will receive.
        """
        ...


def warm_up_parts(device: torch.device, *parts: object) -> None:
    """Warm up every part that can be; the others are skipped."""
    for part in parts:
        if isinstance(part, HasWarmUp):
            part.warm_up(device)


def check_parts(proposer: InstanceProposer | None, temporal_filter: TemporalFilter | None) -> None:
    """Refuse a proposer that nothing would ask.

    Raises:
        InputError: there is a proposer, but no temporal filter.
    """
    if proposer is not None and temporal_filter is None:
        raise InputError(
            "proposer: the temporal filter asks it where lost objects may reappear, and this "
            "tracker has none; set tracker.temporal_filter = vostrack.refine.craf.Craf(), build "
            "the tracker with TrackerOptions(craf=True), or set tracker.proposer = None"
        )
