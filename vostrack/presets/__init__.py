"""The presets, and the options that change them. The names below are loaded on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vostrack.presets.named import PRESETS, Preset
    from vostrack.presets.options import TrackerOptions
    from vostrack.presets.resolve import effective_preset, resolve_preset

__all__ = ["PRESETS", "Preset", "TrackerOptions", "effective_preset", "resolve_preset"]

_HOMES = {
    "PRESETS": "named",
    "Preset": "named",
    "TrackerOptions": "options",
    "effective_preset": "resolve",
    "resolve_preset": "resolve",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
