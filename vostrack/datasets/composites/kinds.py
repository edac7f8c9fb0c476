"""Kinds of clips: settings under which one difficulty is sure to be there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from vostrack.datasets.composites.config import CompositeConfig
from vostrack.errors import InputError

__all__ = ["MIXED", "VALIDATION_KINDS", "config_of_kind"]

MIXED = "mixed"
"""The kind that asks for nothing in particular."""

# What all kinds have less of, so that each one's own difficulty stands out.
_CALM: dict[str, Any] = {
    "travel": (0.02, 0.4),
    "exit": 0.1,
    "haze": 0.05,
    "smoke": 0.0,
    "light": 0.2,
    "low_light": 0.05,
    "motion_blur": 0.15,
    "look_alike": 0.2,
}

_CHANGES: dict[str, dict[str, Any]] = {
    "look-alikes": {
        "look_alike": 1.0,
        "resembling": 0.0,
        "crossing": 0.8,
        "objects": (2, 4),
        "area": (0.01, 0.15),
    },
    "growth": {"growth": 1.0, "objects": (1, 3), "area": (0.004, 0.08)},
    "occlusion": {"occluder": 1.0, "crossing": 1.0, "objects": (1, 4), "area": (0.01, 0.2)},
    "small": {"objects": (1, 4), "area": (0.002, 0.008), "growth": 0.0, "camera": 0.8},
    "smoke": {"smoke": 1.0, "objects": (1, 3), "area": (0.01, 0.25)},
    "bending": {
        "bending": 1.0,
        "largest_bend": 0.15,
        "parts": 0.3,
        "objects": (1, 3),
        "area": (0.02, 0.3),
    },
}

_DEMANDED = {
    "look-alikes": ("look-alike",),
    "growth": ("growth",),
    "occlusion": ("occlusion",),
    "small": ("small",),
    "smoke": ("smoke",),
    "bending": ("bending",),
}

VALIDATION_KINDS: Mapping[str, tuple[str, ...]] = MappingProxyType(_DEMANDED)
"""The tags that each clip of a kind has."""


def config_of_kind(kind: str, base: CompositeConfig | None = None) -> CompositeConfig:
    """Change settings so that every clip is of a kind.

    Args:
        kind: one of ``VALIDATION_KINDS``, or "mixed" for no change.
        base: what is changed; size and number of frames stay.

    Raises:
        InputError: there is no such kind.
    """
    base = CompositeConfig() if base is None else base
    if kind == MIXED:
        return base
    if kind not in VALIDATION_KINDS:
        raise InputError(
            f"kind: expected one of {', '.join([MIXED, *VALIDATION_KINDS])}, got {kind!r}"
        )
    demanded = (*base.demanded, *VALIDATION_KINDS[kind])
    return replace(base, **{**_CALM, **_CHANGES[kind]}, demanded=demanded)
