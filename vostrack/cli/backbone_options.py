"""Options of a backbone as KEY=VALUE words of a training command."""

from __future__ import annotations

import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from vostrack.checks import OptionValue
from vostrack.errors import InputError

__all__ = ["backbone_options"]


def backbone_options(backbone: str | None, words: Sequence[str]) -> dict[str, OptionValue]:
    """Read the options of a backbone.

    Args:
        backbone: its name; None if none was chosen.
        words: KEY=VALUE each.

    Raises:
        InputError: there is no such backbone or option, or a value has another type.
    """
    from vostrack.models.backbone_registry import BACKBONES, backbone_settings

    if not words:
        return {}
    if backbone is None:
        raise InputError("--backbone-options: name the backbone that takes them with --backbone")
    backbone_settings(backbone, {})
    hints = get_type_hints(BACKBONES[backbone].options)
    given: dict[str, OptionValue] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals:
            raise InputError(f"--backbone-options: expected KEY=VALUE, got {word!r}")
        given[key] = _value(key, text, hints[key]) if key in hints else text
    backbone_settings(backbone, given)
    return given


def _value(key: str, text: str, hint: Any) -> OptionValue:
    """Read a value of a type; of several, the first that it can be."""
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    for kind in kinds:
        try:
            return _of_kind(text, kind)
        except ValueError:
            continue
    expected = " or ".join(getattr(kind, "__name__", str(kind)) for kind in kinds)
    raise InputError(f"--backbone-options: {key}: expected {expected}, got {text!r}")


def _of_kind(text: str, kind: Any) -> OptionValue:
    if get_origin(kind) is Literal:
        words = {str(value): value for value in get_args(kind)}
    elif kind is bool:
        words = {"true": True, "false": False}
    elif kind is type(None):
        words = {"none": None}
    else:
        value: OptionValue = (kind if kind in (int, float, Path) else str)(text)
        return value
    if text not in words:
        raise ValueError(text)
    chosen: OptionValue = words[text]
    return chosen
