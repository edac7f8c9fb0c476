"""What a checkpoint records of the flags of its training, so that it is continued by no other."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from vostrack.files import expand_home

if TYPE_CHECKING:
    from vostrack.cli.train_command import TrainCommand

__all__ = ["given_flags"]


def given_flags(
    command: TrainCommand, known: Collection[str], content: Mapping[str, object]
) -> dict[str, object]:
    """Return the value of each flag, and instead of a path what lies there.

    A folder may be mounted elsewhere when a training goes on; what it holds must be the same.

    Args:
        command: whose flags.
        known: names of flags that are compared elsewhere, or need not agree.
        content: by flag, what stands for its value: what was read of a folder, or a default that
            depends on other flags.

    Returns:
        Plain data by the names of the flags' parameters; those that hold content come last, since
        the others say more to the user.

    Raises:
        OSError: a file cannot be read.
    """
    names = [field.name for field in fields(command) if field.name not in known]
    values = {name: content.get(name, getattr(command, name)) for name in names}
    described = {name: _described(value, command.output) for name, value in values.items()}
    if "exclude" in described:
        described["exclude"] = sorted(getattr(command, "exclude", ()))
    read = {name for name in names if name in content or described[name] != _plain(values[name])}
    return dict(sorted(described.items(), key=lambda item: item[0] in read))


def _described(value: object, output: Path) -> object:
    from vostrack.datasets.fingerprint import file_fingerprint, folder_fingerprint

    if isinstance(value, (tuple, list)):
        return [_described(item, output) for item in value]
    if not isinstance(value, (str, Path)):
        return value
    path = expand_home(value)
    # A word such as "train" may be the name of a file in the current folder, too.
    named = isinstance(value, Path) or path.suffix != "" or len(path.parts) > 1
    if named and path.is_file():
        return file_fingerprint(path)
    if isinstance(value, Path) and path.is_dir():
        return folder_fingerprint(path, leave_out=output)
    return str(value)


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
