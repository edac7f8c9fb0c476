"""What is known of a format; see ``vostrack.masks.formats.catalogue``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

from vostrack.masks.video_masks import VideoMasks

__all__ = ["Alpha", "Format"]

Alpha = Literal["straight", "premultiplied"]
"""What the colours of a cut-out are: the object's own, or these times alpha."""

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
        checked: what reads back, in the tests, what is written.
        suffix: suffix of the file that is written; empty for a folder.
        requires: module that has to be installed.
        extra: the extra of this package that installs it.
        in_python: whether it is an object of Python and neither file nor folder.
        premultiplies: whether its colours may be multiplied by alpha, too.
    """

    name: str
    title: str
    module: str
    reads: str
    writes: str
    library: str
    lost: str
    checked: str
    suffix: str = ""
    requires: str = ""
    extra: str = "formats"
    in_python: bool = False
    premultiplies: bool = False

    def write(self, masks: VideoMasks, output: Path, alpha: Alpha = "straight") -> tuple[str, ...]:
        """Write the masks of a video; see ``export_results``.

        Raises:
            InputError: the format cannot hold these masks.
        """
        writer = import_module(self.module)
        write: Write = writer.write_premultiplied if alpha == "premultiplied" else writer.write
        return write(masks, output)
