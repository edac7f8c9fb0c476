"""Which files an export may replace: those that look like what it writes."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

from vostrack.errors import InputError
from vostrack.masks.formats.results_folder import is_results_folder

__all__ = ["check_replaced", "check_suffix"]

_OF_A_RUN = ("run.json", "masks.json", "overlay.mp4")
# Other writers add it only where there is something to say.
_OPTIONAL_KEYS = {"vostrack"}


def check_suffix(target: Path, suffix: str) -> None:
    """Refuse to replace a file whose suffix is of another format.

    Raises:
        InputError: it exists, and ends with another suffix than the format's files do.
    """
    if target.exists() and suffix and target.suffix.lower() != suffix:
        raise InputError(
            f"output: {target} exists and is no {suffix} file, which would replace it; give "
            f"another `output`, such as {target.with_suffix(suffix)}"
        )


def check_replaced(target: Path, made: Path) -> None:
    """Refuse to replace a file that is not of the kind of an export.

    An image must have the mode of the new one, JSON its keys, and XML its root. Text, videos and
    other files hold nothing to tell them by. What a run wrote is never replaced.

    Args:
        target: the file that may exist.
        made: the complete file that would replace it.

    Raises:
        InputError: names the file.
    """
    # An empty file, as mktemp makes it, holds nothing to lose.
    if not target.is_file() or not target.stat().st_size:
        return
    folder = target.parent
    of_run = (target.name in _OF_A_RUN and is_results_folder(folder)) or (
        folder.name == "masks" and is_results_folder(folder.parent)
    )
    if of_run or _kind(target) != _kind(made):
        whose = "belongs to a run" if of_run else "was not written by such an export"
        raise InputError(
            f"output: {target} {whose}, and would be replaced; move it away, or give another "
            "`output`"
        )


def _kind(path: Path) -> object:
    """Return what tells the kind of a file; None for a kind that is not known by its content."""
    suffix = path.suffix.lower()
    try:
        if suffix == ".json":
            content = json.loads(path.read_bytes())
            return set(content) - _OPTIONAL_KEYS if isinstance(content, dict) else type(content)
        if suffix == ".xml":
            return next(iter(ElementTree.iterparse(path, ["start"])))[1].tag
        if suffix in (".png", ".jpg", ".jpeg", ".tif", ".tiff"):
            with Image.open(path) as image:
                return image.format, image.mode
    except (OSError, ValueError, RecursionError, ElementTree.ParseError, StopIteration):
        return "unreadable"
    return None
