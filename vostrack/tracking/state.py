"""Format version of a tracker's saved state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vostrack.errors import InputError

__all__ = ["STATE_FORMAT", "check_state", "on_device", "stamp"]

# Increase it with every change to what a tracker, an adapter or a filter saves, and with every new
# shipped network: the memory of one network is useless to another.
STATE_FORMAT = 9


def stamp(part: str, adapter: object) -> dict[str, Any]:
    """Return what every saved state says of itself, for ``check_state``.

    Args:
        part: ``start`` for ``Tracker.start_state``, ``running`` for ``Tracker.state``.
        adapter: the tracker's object adapter.
    """
    return {"format": STATE_FORMAT, "part": part, "method": type(adapter).__name__}


def check_state(saved: Mapping[str, Any], part: str, adapter: object) -> None:
    """Check that a tracker can load a saved state.

    Args:
        saved: result of ``Tracker.start_state`` or ``Tracker.state``. The first format carried no
            number.
        part: as for ``stamp``.
        adapter: the object adapter of the tracker that is to load it.

    Raises:
        InputError: the state has another format, is the other part of a state, or was saved by a
            tracker with another method.
    """
    found = saved.get("format", 1)
    if found != STATE_FORMAT:
        raise InputError(
            f"tracker state: expected format {STATE_FORMAT}, got {found!r}; the state was "
            "written by another version of vostrack; start the tracker again from the first frame"
        )
    if saved["part"] != part:
        raise InputError(
            f"tracker state: expected the {part} state, got the {saved['part']} state; call "
            "load_state(start_state, state) with the results of start_state() and state()"
        )
    if saved["method"] != type(adapter).__name__:
        raise InputError(
            f"tracker state: saved with {saved['method']}, but this tracker uses "
            f"{type(adapter).__name__}; build it with the preset of the tracker that was saved"
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
