"""Saved states of trackers: their format, and what is checked before one is taken up."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError

__all__ = [
    "STATE_FORMAT",
    "as_array",
    "as_tensor",
    "check_part",
    "check_state",
    "damage_named",
    "first_frame_digest",
    "on_device",
    "stamp",
]

# Increase it with every change to what a tracker, an adapter or a filter saves, and with every new
# shipped network: the memory of one network is useless to another.
STATE_FORMAT = 14


def stamp(part: str, adapter: object, first: int) -> dict[str, Any]:
    """Return what every saved state says of itself, for ``check_state``.

    Args:
        part: ``start`` for ``Tracker.start_state``, ``running`` for ``Tracker.state``.
        adapter: the tracker's object adapter.
        first: from ``first_frame_digest``; the two parts of a state have the same.
    """
    method = type(adapter).__name__
    return {"format": STATE_FORMAT, "part": part, "method": method, "first": first}


def first_frame_digest(*arrays: UInt8Array) -> int:
    """Return the CRC-32 of arrays that tell one start from another."""
    found = 0
    for array in arrays:
        found = zlib.crc32(array.tobytes(), found)
    return found


def check_state(saved: object, part: str, adapter: object) -> None:
    """Check that a tracker can load a saved state.

    Args:
        saved: result of ``Tracker.start_state`` or ``Tracker.state``. The first format carried no
            number.
        part: as for ``stamp``.
        adapter: the object adapter of the tracker that is to load it.

    Raises:
        InputError: it is no state, has another format, is the other part of a state, or was saved
            by a tracker with another method.
    """
    if not isinstance(saved, Mapping):
        raise InputError(
            f"tracker state: expected the result of start_state() or state(), got "
            f"{type(saved).__name__}; call load_state(start_state, state)"
        )
    if "format" not in saved and "adapter" not in saved:
        call = "start_state()" if part == "start" else "state()"
        keys = ", ".join(sorted(map(repr, saved))[:4]) or "nothing"
        raise InputError(
            f"tracker state: this is no result of {call}, it holds {keys}; of two states that were "
            'saved together, pass each by itself, such as load_state(saved["start"], saved["now"])'
        )
    found = saved.get("format", 1)
    if found != STATE_FORMAT:
        raise InputError(
            f"tracker state: expected format {STATE_FORMAT}, got {found!r}; the state was "
            "written by another version of vostrack; start the tracker again from the first frame"
        )
    if saved.get("part") != part:
        raise InputError(
            f"tracker state: expected the {part} state, got the {saved.get('part')} state; call "
            "load_state(start_state, state) with the results of start_state() and state()"
        )
    if saved.get("method") != type(adapter).__name__:
        raise InputError(
            f"tracker state: saved with {saved.get('method')}, but this tracker uses "
            f"{type(adapter).__name__}; build it with the preset of the tracker that was saved"
        )


def check_part(name: str, saved: object, part: Any) -> None:
    """Check that a tracker has an optional part just where the saved one had it.

    Args:
        name: of the part.
        saved: its state; empty where the tracker had none.
        part: the part of the tracker that is to load it, if it has one; at the start.

    Raises:
        InputError: one of the two has it, the other has not.
        TypeError: it is no state.
    """
    if not isinstance(saved, Mapping):
        raise TypeError(f"its {name} is {saved!r:.40}")
    # A part may have a state only later than at the start, where it stands now.
    if part is None if saved else part is not None and part.state_dict():
        came, here = ("with", "has none") if saved else ("without", f"has {type(part).__name__}")
        raise InputError(
            f"tracker state: saved {came} a {name}, but this tracker {here}; build it with the "
            "preset and options of the tracker that was saved"
        )


def as_tensor(array: UInt8Array) -> Tensor:
    """Return a copy of an array for a saved state."""
    return torch.from_numpy(array.copy())


def as_array(tensor: Tensor) -> UInt8Array:
    """Return a copy of an array in a saved state, which other trackers may load, too."""
    array: UInt8Array = tensor.numpy()
    return np.array(array)


@contextmanager
def damage_named() -> Iterator[None]:
    """Say of a state that cannot be taken up that it is damaged, not what it made fail."""
    try:
        yield
    except InputError:
        raise
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as e:
        if type(e).__name__ == "OutOfMemoryError":
            raise
        reason = f"{e} is missing" if isinstance(e, KeyError) else f"{type(e).__name__}: {e}"
        raise InputError(
            f"tracker state: it is damaged, or a tracker with other options wrote it ({reason}); "
            "build this one with the options of that one, or start again from the first frame"
        ) from e


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
