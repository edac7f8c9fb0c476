"""The one list of formats: what is read, what is written, by which library, and what is lost.

To add a format, write a module and put an entry here. A module that writes has a function
``write(masks: VideoMasks, output: Path) -> tuple[str, ...]``. It writes the file or the folder
``output`` and returns a sentence for each thing that this video loses in the format. Modules are
loaded on first use, so an entry may name one above this layer.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from vostrack.errors import InputError
from vostrack.masks.video_masks import VideoMasks

__all__ = ["FORMATS", "Format", "check_writable", "find_format", "writable_formats"]

Write = Callable[[VideoMasks, Path], tuple[str, ...]]


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        name: what ``--export`` and ``--to`` call it.
        title: what its users call it.
        module: the module that implements it.
        reads: what is read; empty if it is not read.
        writes: what is written; empty if it is not written.
        library: the libraries that read or write it here.
        lost: what the format cannot hold.
        suffix: suffix of the file that is written; empty for a folder.
    """

    name: str
    title: str
    module: str
    reads: str
    writes: str
    library: str
    lost: str
    suffix: str = ""

    def write(self, masks: VideoMasks, output: Path) -> tuple[str, ...]:
        """Write the masks of a video; see ``export_results``.

        Raises:
            InputError: the format is not written, or cannot hold these masks.
        """
        check_writable(self.name)
        write: Write = import_module(self.module).write
        return write(masks, output)


_HERE = "vostrack.masks.formats"

FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        Format(
            "coco",
            "COCO instances",
            f"{_HERE}.coco",
            "JSON; polygons, RLE with and without compression; `track_id`, `iscrowd`",
            "JSON with images, annotations (compressed RLE, `track_id`) and categories",
            "pycocotools",
            "nothing; void becomes a crowd (`iscrowd`)",
            ".json",
        ),
        Format(
            "youtube-vis",
            "YouTube-VIS, OVIS, COCO video",
            f"{_HERE}.youtube_vis",
            "JSON of one video, or the first of several",
            "JSON with videos, and annotations with a `segmentations` entry for each frame",
            "pycocotools",
            "nothing; void becomes a crowd (`iscrowd`)",
            ".json",
        ),
    )
}
"""All formats by name."""


def find_format(name: str, parameter: str = "format") -> Format:
    """Return a format.

    Args:
        name: its name.
        parameter: name of the parameter that it was given as, for the message.

    Raises:
        InputError: there is none of that name.
    """
    found = FORMATS.get(name.lower().replace("_", "-"))
    if found is not None:
        return found
    near = difflib.get_close_matches(name.lower(), FORMATS, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise InputError(f"{parameter}: expected one of {', '.join(FORMATS)}, got {name!r}{hint}")


def check_writable(name: str, parameter: str = "format") -> Format:
    """Return a format that is written.

    Args:
        name: its name.
        parameter: name of the parameter that it was given as, for the message.

    Raises:
        InputError: there is none of that name, or it is only read.
    """
    found = find_format(name, parameter)
    if not found.writes:
        raise InputError(
            f"{parameter}: {found.name} is read but not written; expected one of "
            f"{', '.join(writable_formats())}"
        )
    return found


def writable_formats() -> list[str]:
    """Return the names of the formats that are written."""
    return [entry.name for entry in FORMATS.values() if entry.writes]
