"""Interchangeable parts by name: those of the package, and those of installed plug-ins.

A plug-in is an installed distribution with an entry point in the group of its kind, for example
``vostrack.proposers``. The entry point's name is what the user chooses. It refers to an entry of
the same class as those of the package. A plug-in is imported when its entry is looked up.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, Protocol, TypeVar

from vostrack.checks import OptionValue, checked_options
from vostrack.errors import InputError
from vostrack.plug_ins import (
    OTHER_OPTIONS,
    check_name,
    check_options,
    errors_of,
    note_built,
    note_options,
)

__all__ = ["NONE", "PartEntry", "PartRegistry", "usable"]

_log = logging.getLogger("vostrack")

NONE = "none"
"""The name that leaves a part out."""


class PartEntry(Protocol):
    """What a registry knows of a part."""

    @property
    def options(self) -> type[Any]:
        """Frozen dataclass of its options; every field has a default."""
        ...

    @property
    def build(self) -> Callable[..., Any]:
        """Makes the part out of an instance of its options, and more."""
        ...


Entry = TypeVar("Entry", bound=PartEntry)


class PartRegistry(Mapping[str, Entry], Generic[Entry]):
    """The parts of one kind by name.

    The package's own come first. A plug-in cannot take the name of one of them, nor ``none``; there
    is a warning of one that tries.
    """

    def __init__(self, kind: str, own: Mapping[str, Entry], entry: type[Entry]) -> None:
        """Take the package's own parts.

        Args:
            kind: ``proposer``, for example. It is the name of the parameter that chooses a part,
                of the parameter with its options (``proposer_options``), and of the group of the
                plug-ins' entry points (``vostrack.proposers``).
            own: the package's own parts.
            entry: the class of an entry.
        """
        self.kind = kind
        self.group = f"vostrack.{kind}s"
        self._own = dict(own)
        self._of_the_package = frozenset((NONE, *own))
        self._entry = entry

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, without importing a plug-in."""
        yield from self._own
        yield from self._plug_ins()

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a part of that name, without importing a plug-in."""
        return any(name == known for known in self)

    def __len__(self) -> int:
        """Return the number of parts."""
        return sum(1 for _ in self)

    def __getitem__(self, name: str) -> Entry:
        """Return an entry; that of a plug-in is imported.

        Raises:
            KeyError: there is no part of that name.
            InputError: the plug-in cannot be imported, is not of this kind, or has options that
                cannot be flags.
        """
        if name in self._own:
            return self._own[name]
        return self._load(self._plug_ins()[name])

    def register(self, name: str, entry: Entry) -> None:
        """Add a part for the rest of the process, for example from a notebook.

        Raises:
            InputError: the name is taken or cannot be the beginning of a flag, or the options
                cannot be flags.
        """
        if name == NONE or name in self:
            raise InputError(f"{self.kind}: the name {name!r} is taken; register it under another")
        check_name(name, self._whose(name))
        check_options(entry.options, self._whose(name))
        self._own[name] = entry

    def unregister(self, name: str) -> None:
        """Remove a part that ``register`` added.

        Raises:
            KeyError: there is none.
        """
        del self._own[name]

    def settings(self, name: str, given: Mapping[str, OptionValue], part: str | None = None) -> Any:
        """Return the options of a part, those that are not given at their defaults.

        Args:
            name: name of the part, or ``none``.
            given: fields of its options.
            part: what messages call the part; by default ``KIND_options: NAME``.

        Returns:
            An instance of its options; None for ``none``.

        Raises:
            InputError: no part of that name, no option of that name, a value out of its range, or
                the options of a plug-in fail.
        """
        if name == NONE:
            if given:
                raise InputError(
                    f"{self.kind}_options: there is no {self.kind} to take them; choose one with "
                    f"`{self.kind}`, or leave `{self.kind}_options` out"
                )
            return None
        self.check(name)
        options = self[name].options
        with self._naming(name, "cannot take its options"):
            return checked_options(options, given, part or f"{self.kind}_options: {name}")

    def build(self, name: str, settings: object, *more: object) -> Any:
        """Build a part. The errors of a plug-in, now and later, name it.

        Args:
            name: name of the part.
            settings: what ``settings`` returned.
            more: what the builders of this kind take besides.

        Raises:
            KeyError: there is no part of that name.
            InputError: a plug-in's builder fails, or a file does not hold what it should.
        """
        entry = self[name]
        with self._naming(name, "cannot be built"):
            part = entry.build(settings, *more)
        note_options(part, settings)
        if name not in self._of_the_package:
            note_built(part, self._whose(name))
        return part

    def check(self, name: str) -> None:
        """Check that there is a part of that name, or that it is ``none``.

        Raises:
            InputError: there is none.
        """
        if name != NONE and name not in self:
            names = ", ".join((NONE, *self))
            raise InputError(f"{self.kind}: expected one of {names}, got {name!r}")

    def _plug_ins(self) -> dict[str, EntryPoint]:
        """Return those installed, without those that would take a name of the package."""
        installed = _installed(self.group)
        for name in self._of_the_package & installed.keys():
            _warn_once(
                f"{self.kind}: the plug-in {name!r} ({installed[name].value}) is left out: the "
                f"package has {name!r} itself; rename the plug-in's entry point"
            )
        taken = self._of_the_package | self._own.keys()
        return {name: point for name, point in installed.items() if name not in taken}

    def _whose(self, name: str) -> str:
        """Return the words that name a plug-in in errors."""
        point = _installed(self.group).get(name)
        origin = "registered in this process" if point is None else point.value
        return f"{self.kind}: the plug-in {name!r} ({origin})"

    def _naming(self, name: str, what: str) -> AbstractContextManager[None]:
        """Let the errors in a block name the plug-in, where the part is one."""
        if name in self._of_the_package:
            return nullcontext()
        return errors_of(self._whose(name), what, OTHER_OPTIONS)

    def _load(self, point: EntryPoint) -> Entry:
        whose = self._whose(point.name)
        with errors_of(whose, "cannot be imported", passing=(MemoryError,)):
            entry = point.load()
        if not isinstance(entry, self._entry):
            raise InputError(
                f"{whose} is not a {self.kind}: expected an instance of "
                f"{self._entry.__module__}.{self._entry.__qualname__}, got {type(entry).__name__}"
            )
        check_name(point.name, whose)
        check_options(entry.options, whose)
        return entry


def usable(registry: PartRegistry[Entry]) -> Iterator[tuple[str, Entry]]:
    """Yield the name and entry of each part; a plug-in that cannot be used is only warned of.

    A command line that lists all parts must still work when one of them is broken.
    """
    for name in registry:
        try:
            yield name, registry[name]
        except InputError as error:
            _warn_once(str(error))


@functools.cache
def _warn_once(text: str) -> None:
    _log.warning("%s", text)


@functools.cache
def _installed(group: str) -> dict[str, EntryPoint]:
    """Return the plug-ins of a group by name; of two with one name the first that is found."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        first = found.setdefault(point.name, point)
        if point.value != first.value:
            _warn_once(
                f"{group}: two plug-ins are called {point.name!r}; {first.value} is used, "
                f"{point.value} is left out: rename its entry point, or uninstall one distribution"
            )
    return dict(sorted(found.items()))
