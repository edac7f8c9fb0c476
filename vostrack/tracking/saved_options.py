"""The options of a tracker, as its saved state notes them for the tracker that takes it up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from vostrack.errors import InputError
from vostrack.plug_ins import options_of

__all__ = ["check_same_options", "noted_options"]

Noted = dict[str, dict[str, str]]

# What changes rounding alone, or is compared by what it leads to: the working size by the size of
# the saved maps, and the seed by the weights that were fitted.
_MAY_DIFFER = ("precision", "impl", "max_size", "seed")
# Whether a tracker has these is compared by their states, which may be empty.
_OPTIONAL = ("filter", "support")
# Differences that an error names.
_NAMED = 4


def noted_options(parts: Mapping[str, object]) -> Noted:
    """Return the options of each part that change results, as strings.

    Where a part computes and which folder it is read from are left out: states go from machine to
    machine.

    Args:
        parts: of a tracker, by what they are; None where it lacks one, its configuration as it is.
    """
    return {name: _noted(part) for name, part in parts.items()}


def _noted(part: object) -> dict[str, str]:
    if part is None:
        return {}
    options = part if is_dataclass(part) else options_of(part)
    kind = {} if options is part else {"kind": getattr(part, "__name__", type(part).__name__)}
    if options is None or isinstance(options, type):
        return kind
    return kind | {
        name: _text(name, value)
        for name, value in _flat(asdict(options)).items()
        if name.rpartition(".")[2] not in _MAY_DIFFER
    }


def _text(name: str, value: object) -> str:
    """Return a value as text; of files the name alone, as they may lie elsewhere."""
    if isinstance(value, Path) or (name.endswith("weights") and isinstance(value, str)):
        return repr(Path(value).name)
    return repr(value)


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, entry in value.items():
        inner = _flat(entry, f"{prefix}{name}.") if isinstance(entry, Mapping) else None
        found |= {f"{prefix}{name}": entry} if inner is None else inner
    return found


def check_same_options(saved: Noted, own: Noted) -> None:
    """Refuse the state of a tracker with other options.

    Args:
        saved: from ``noted_options`` of the tracker that was saved.
        own: of the one that is to take it up.

    Raises:
        InputError: names what differs.
    """
    found = []
    for part, here in own.items():
        before = saved.get(part, {})
        if part in _OPTIONAL and not (before and here):
            continue
        for name in {**before, **here}:
            if before.get(name) != here.get(name):
                what = part if name == "kind" else f"{name} of the {part}"
                was, now = (each.get(name, "none") for each in (before, here))
                found.append(f"{what} was {was} and is {now} here")
    if found:
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise InputError(
            f"tracker state: saved with other options: {', '.join(found[:_NAMED])}{more}; build "
            "the tracker with the preset and options of the tracker that was saved, or go on with "
            "those of this one with `other_options=True`"
        )
