"""Format version of a tracker's saved state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vostrack.errors import InputError

__all__ = ["STATE_FORMAT", "check_state_format", "on_device"]

# Increase it with every change to what a tracker, an adapter or a filter saves, and with every new
# shipped network: the memory of one network is useless to another.
STATE_FORMAT = 4


def check_state_format(saved: Mapping[str, Any]) -> None:
    """Check that this version can load a saved state.

    Args:
        saved: result of ``Tracker.start_state`` or ``Tracker.state``. The first format carried no
            number.

    Raises:
        InputError: the state has another format.
    """
    found = saved.get("format", 1)
    if found != STATE_FORMAT:
        raise InputError(
            f"tracker state: expected format {STATE_FORMAT}, got {found!r}; the state was "
            "written by another version of vostrack; start the tracker again from the first frame"
        )


def on_device(state: Any, device: torch.device) -> Any:
    """Return a saved state with all its tensors on ``device``; it may come from another machine.

    Args:
        state: tensors and plain values in dictionaries, lists and tuples.
        device: where the tracker works.
    """
    if isinstance(state, Tensor):
        return state.to(device)
    if isinstance(state, Mapping):
        return {key: on_device(value, device) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(on_device(value, device) for value in state)
    return state
