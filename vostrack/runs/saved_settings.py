"""What an interrupted run depends on, and the refusal to go on with anything else."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from vostrack.errors import InputError
from vostrack.files import parse_json
from vostrack.runs.indented_json import write_json

__all__ = ["SavedSettings", "check_same_settings", "unusable"]

# Of the state of a run on disk. Version 0.1 wrote no number.
_FORMAT = 4
# A run may be resumed with another value of these.
_MAY_DIFFER = ("threads",)
_FRAME = re.compile(r"\d{1,9}=")


def unusable(state: Path, reason: str) -> InputError:
    """Return the error that a state on disk cannot be used, with the remedy."""
    return InputError(
        f"resume: the state in {state} cannot be used: {reason}; track the clip again with "
        "`overwrite=True` instead of `resume=True`"
    )


class SavedSettings:
    """``settings.json`` of an unfinished run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, settings: Mapping[str, Any]) -> None:
        """Write the settings, with the number of the format."""
        write_json(self.path, {"format": _FORMAT, "settings": settings})

    def require(self, root: Path) -> None:
        """Check that the results folder ``root`` is still the one in which the run began.

        The state folder alone does not tell: writing into a removed folder makes it again.

        Raises:
            FileNotFoundError: the settings are gone.
        """
        if not self.path.is_file():
            raise FileNotFoundError(
                f"the results folder {root} was removed while the run was writing to it; start "
                "the run again"
            )

    def read(self) -> dict[str, Any]:
        """Return the settings of the interrupted run.

        Raises:
            InputError: another version of vostrack wrote them, or the file is damaged.
        """
        try:
            stored = parse_json(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            reason = f"settings.json cannot be read ({type(error).__name__})"
            raise unusable(self.path.parent, reason) from None
        if not isinstance(stored, dict):
            raise unusable(self.path.parent, "settings.json is damaged")
        if "format" not in stored:
            raise unusable(self.path.parent, "vostrack 0.1 wrote it")
        settings = stored.get("settings")
        if stored["format"] != _FORMAT or not isinstance(settings, dict):
            reason = "another version of vostrack wrote it, or it is damaged"
            raise unusable(self.path.parent, reason)
        return settings

    def check(self, settings: Mapping[str, Any]) -> None:
        """Refuse to resume a run under other settings, or with other content behind the same names.

        Raises:
            InputError: names the first setting that differs.
        """
        check_same_settings(self.read(), settings, "interrupted")


def check_same_settings(
    settings: Mapping[str, Any], wanted: Mapping[str, Any], run: Literal["interrupted", "complete"]
) -> None:
    """Refuse settings other than those of a run, and other content behind the same names.

    Args:
        settings: of the run.
        wanted: those of now.
        run: what kind of run it is, for the message.

    Raises:
        InputError: names the first setting that differs.
    """
    before, now = _flat(settings), _flat(json.loads(json.dumps(wanted)))
    # In the order of the request, so that a cause is named before its consequence.
    for key in {**now, **before}:
        if key in _MAY_DIFFER or before.get(key) == now.get(key):
            continue
        if f"content.{key}" in now and _frames_of(before.get(key)) == _frames_of(now[key]):
            # The content is what counts, and is compared: files may have been moved.
            continue
        if key.startswith("content."):
            since = {"interrupted": "the run was interrupted", "complete": "the run was completed"}
            raise InputError(
                f"resume: the content of `{key.removeprefix('content.')}` has changed since "
                f"{since[run]}; put the earlier file back, or start anew with `overwrite=True`"
            )
        raise InputError(
            f"resume: {key} was {before.get(key)!r} in the {run} run and is {now.get(key)!r} now; "
            "resume with the same options, or start anew with `overwrite=True`"
        )


def _frames_of(value: object) -> list[str]:
    """Return what ``40=mask.png`` says of the frame, of one path or of each of several."""
    entries = value if isinstance(value, list) else [value]
    found = [_FRAME.match(str(entry)) for entry in entries]
    return ["" if match is None else match[0] for match in found]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted names."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found.update(_flat(value, f"{prefix}{key}."))
        else:
            found[f"{prefix}{key}"] = value
    return found
