"""Flags of earlier versions: they are refused with the spelling that took their place."""

from __future__ import annotations

from collections.abc import Sequence

from vostrack.errors import InputError

__all__ = ["refuse_retired_flags"]


def refuse_retired_flags(arguments: Sequence[str]) -> None:
    """Refuse flags of version 0.1.

    Raises:
        InputError: names the first one, and what to write in its place.
    """
    for position, argument in enumerate(arguments):
        flag, given, value = argument.partition("=")
        if flag not in ("--sharpen", "--spn", "--dense-crf", "--no-dense-crf"):
            continue
        following = [] if given else list(arguments[position + 1 : position + 2])
        value = value or "".join(v for v in following if not v.startswith("-"))
        old = f"{flag} {value}" if value and not flag.endswith("crf") else flag
        raise InputError(f"{old}: now spelled {_spelling(flag, value)}")


def _spelling(flag: str, value: str) -> str:
    if flag == "--dense-crf":
        return "--refiner dense-crf"
    if flag == "--no-dense-crf" or value == "preset":
        return "--refiner preset, which is the default"
    if flag == "--sharpen":
        return "--refiner none" if value == "off" else "--refiner sampled-crf"
    if value in ("none", "shipped"):
        return "--refiner none" if value == "none" else "--refiner spn"
    return f"--refiner spn --spn-weights {value or 'FILE'}"
