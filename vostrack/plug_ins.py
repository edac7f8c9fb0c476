"""Parts that other distributions bring: whether they are as they should be, and whose errors are.

A plug-in is a stranger's code. What it raises is turned into one line that names it; what it
returns is checked where it is called.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints
from weakref import WeakKeyDictionary

from vostrack.errors import InputError

__all__ = [
    "OTHER_OPTIONS",
    "check_name",
    "check_options",
    "errors_of",
    "naming_errors",
    "note_built",
    "note_options",
    "options_of",
    "whose",
]

_REMEDY = "repair or uninstall its distribution, or choose another"
OTHER_OPTIONS = "give it other options, or repair or uninstall its distribution"
"""The remedy where a plug-in's options may be at fault; see ``errors_of``."""

_PLAIN = (int, float, bool, str, Path, type(None))

# What plug-ins built, each with the words that name its plug-in. Parts are kept no longer for it.
_BUILT: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
# What parts were built of, those of the package included.
_OPTIONS: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def note_options(part: object, options: object) -> None:
    """Note the options that a part was built of, for ``options_of``.

    Args:
        part: what was built.
        options: an instance of a dataclass.
    """
    with suppress(TypeError):  # what cannot be referred to weakly
        _OPTIONS[part] = options


def options_of(part: object) -> Any:
    """Return the options that a part was built of, else its ``config``; None if it has neither."""
    with suppress(TypeError):
        if part in _OPTIONS:
            return _OPTIONS[part]
    config = getattr(part, "config", None)
    return config if is_dataclass(config) else None


def note_built(part: object, name: str) -> None:
    """Note which plug-in built a part, for ``naming_errors`` and ``whose``.

    Args:
        part: what it built.
        name: such as ``refiner: the plug-in 'blur' (my_package.blur:ENTRY)``.
    """
    with suppress(TypeError):  # what cannot be referred to weakly is named by its class
        _BUILT[part] = name


def whose(part: object, kind: str) -> str:
    """Return the words that name a part in an error: its plug-in, else its class or function.

    Args:
        part: a refiner, for example.
        kind: ``refiner``, for example.
    """
    with suppress(TypeError):
        if part in _BUILT:
            return _BUILT[part]
    named: Any = part if hasattr(part, "__qualname__") else type(part)
    return f"{kind}: {named.__module__}.{named.__qualname__}"


@contextmanager
def naming_errors(part: object) -> Iterator[None]:
    """Let the errors of a plug-in's part name the plug-in; those of other parts pass unchanged.

    Raises:
        InputError: the block raised an error, and a plug-in built the part.
    """
    name = None
    with suppress(TypeError):
        name = _BUILT.get(part)
    if name is None:
        yield
        return
    with errors_of(name, "failed"):
        try:
            yield
        except InputError as error:
            raise InputError(f"{name}: {error}") from error


@contextmanager
def errors_of(
    name: str,
    what: str,
    remedy: str = _REMEDY,
    passing: tuple[type[Exception], ...] = (OSError, MemoryError),
) -> Iterator[None]:
    """Turn what a plug-in raises in the block into one line that names it.

    An ``InputError`` passes: it has words of its own.

    Args:
        name: of the plug-in, as for ``note_built``.
        what: what happened to it, such as ``cannot be imported``.
        remedy: what the user can do.
        passing: errors that pass, too; by default those of files and memory, which need not be the
            plug-in's fault.

    Raises:
        InputError: the block raised any other error.
    """
    try:
        yield
    except InputError:
        raise
    except passing:
        raise
    except (Exception, SystemExit) as error:
        if type(error).__name__ == "OutOfMemoryError":  # that of torch
            raise
        said = " ".join(str(error).split())
        raise InputError(f"{name} {what}: {type(error).__name__}: {said}; {remedy}") from error


def check_name(name: str, whose_name: str) -> None:
    """Check that the name of a part can be the beginning of a flag.

    Args:
        name: the name that the user chooses.
        whose_name: of the plug-in, as for ``note_built``.

    Raises:
        InputError: it cannot.
    """
    if not name.replace("-", "_").isidentifier():
        raise InputError(
            f"{whose_name}: expected a name of letters, digits, - and _ that begins with a letter, "
            f"got {name!r}; rename its entry point"
        )


def check_options(options: Any, name: str) -> None:
    """Check that flags can be made of a plug-in's options.

    Args:
        options: a dataclass, every field with a default and a plain type.
        name: of the plug-in, as for ``note_built``.

    Raises:
        InputError: it is anything else.
    """
    if not (isinstance(options, type) and is_dataclass(options)):
        got = options.__qualname__ if isinstance(options, type) else type(options).__name__
        raise InputError(
            f"{name} has options that are no dataclass: expected a class with @dataclass, got {got}"
        )
    with errors_of(name, "has options with types that cannot be looked up"):
        hints = get_type_hints(options)
    for entry in fields(options):
        if entry.default is MISSING and entry.default_factory is MISSING:
            raise InputError(
                f"{name} has an option without a default: expected one for {entry.name!r} of "
                f"{options.__qualname__}; give it one"
            )
        hint = hints[entry.name]
        parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
        if not all(part in _PLAIN or get_origin(part) is Literal for part in parts):
            raise InputError(
                f"{name} has an option that cannot be a flag: expected a number, bool, str, Path, "
                f"Literal or None, got {entry.name!r} of the type {hint}"
            )
