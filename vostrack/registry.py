"""Interchangeable parts by name: those of the package, and those of installed plug-ins.

A plug-in is an installed distribution with an entry point in the group of its kind, for example
``vostrack.proposers``. The entry point's name is what the user chooses. It refers to an entry of
the same class as those of the package. A plug-in is imported when its entry is looked up.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, Protocol, TypeVar

from vostrack.checks import OptionValue, checked_options
from vostrack.errors import InputError

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


Entry = TypeVar("Entry", bound=PartEntry)


class PartRegistry(Mapping[str, Entry], Generic[Entry]):
    """The parts of one kind by name.

    The package's own come first. A plug-in cannot take the name of one of them.
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
        self._entry = entry

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, without importing a plug-in."""
        yield from self._own
        yield from (name for name in _installed(self.group) if name not in self._own)

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
            InputError: the plug-in cannot be imported, or is not of this kind.
        """
        if name in self._own:
            return self._own[name]
        return self._load(_installed(self.group)[name])

    def register(self, name: str, entry: Entry) -> None:
        """Add a part for the rest of the process, for example from a notebook.

        Raises:
            InputError: the name is taken.
        """
        if name == NONE or name in self:
            raise InputError(f"{self.kind}: the name {name!r} is taken; register it under another")
        self._own[name] = entry

    def unregister(self, name: str) -> None:
        """Remove a part that ``register`` added.

        Raises:
            KeyError: there is none.
        """
        del self._own[name]

    def settings(self, name: str, given: Mapping[str, OptionValue]) -> Any:
        """Return the options of a part, those that are not given at their defaults.

        Args:
            name: name of the part, or ``none``.
            given: fields of its options.

        Returns:
            An instance of its options; None for ``none``.

        Raises:
            InputError: no part of that name, no option of that name, or a value out of its range.
        """
        if name == NONE:
            if given:
                raise InputError(
                    f"{self.kind}_options: there is no {self.kind} to take them; choose one with "
                    f"`{self.kind}`, or leave `{self.kind}_options` out"
                )
            return None
        self.check(name)
        return checked_options(self[name].options, given, f"{self.kind}_options: {name}")

    def check(self, name: str) -> None:
        """Check that there is a part of that name, or that it is ``none``.

        Raises:
            InputError: there is none.
        """
        if name != NONE and name not in self:
            names = ", ".join((NONE, *self))
            raise InputError(f"{self.kind}: expected one of {names}, got {name!r}")

    def _load(self, point: EntryPoint) -> Entry:
        whose = f"{self.kind}: the plug-in {point.name!r} ({point.value})"
        try:
            entry = point.load()
        except Exception as error:  # whatever a stranger's module raises
            raise InputError(
                f"{whose} cannot be imported: {type(error).__name__}: {error}; repair or uninstall "
                "its distribution, or choose another"
            ) from error
        if not isinstance(entry, self._entry):
            raise InputError(
                f"{whose} is not a {self.kind}: expected an instance of "
                f"{self._entry.__module__}.{self._entry.__qualname__}, got {type(entry).__name__}"
            )
        return entry


def usable(registry: PartRegistry[Entry]) -> Iterator[tuple[str, Entry]]:
    """Yield the name and entry of each part; a plug-in that cannot be imported is only warned of.

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
        found.setdefault(point.name, point)
    return dict(sorted(found.items()))
