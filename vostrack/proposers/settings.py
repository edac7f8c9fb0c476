"""Named sets of options of the proposers. This module loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from vostrack.checks import OptionValue

__all__ = ["Setting", "SettingValues"]

Setting = Literal["default", "paper", "fast"]
"""``default``: what works best here. ``paper``: what the paper of the method states. ``fast``: less
time, and worse instances."""

SettingValues = Mapping[Setting, Mapping[str, OptionValue]]
"""The options of each setting that differ from their defaults."""
