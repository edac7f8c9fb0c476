"""``vostrack convert``: the masks of a video in the format of another tool."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from vostrack.files import real_path
from vostrack.wording import counted

__all__ = ["ConvertCommand"]

_log = logging.getLogger("vostrack")


@dataclass(frozen=True)
class ConvertCommand:
    """Write the masks of a video in the format of another tool.

    Example: vostrack convert out --to coco --output masks_coco.json

    Reads the folder that vostrack track wrote, and files of other tools. docs/formats.md lists the
    formats, and what each of them loses; a line says what your masks lose.
    """

    results: tyro.conf.Positional[Path]
    """Folder that vostrack track wrote, or masks in any format that is read."""

    to: str
    """Name of the format: davis, coco, youtube-vis, mots-png, mots-txt, burst, sa-v, cvat,
    cvat-images, label-studio, label-studio-video, labelme, supervisely, yolo-seg, tiff, napari,
    nnunet, prores, webm, matte-video, png-mattes or exr-mattes."""

    alpha: Literal["straight", "premultiplied"] = "straight"
    """Colours of a prores export. straight: the object's own up to its edge, which most editors
    expect. premultiplied: these times alpha, on black."""

    output: Path | None = None
    """File or folder to write. Default: the name of the results with that of the format, such as
    out_coco.json."""

    size: tuple[int, int] | None = None
    """Width and height of the video in pixels, for formats that state none, such as YOLO."""

    overwrite: bool = False
    """Replace an earlier export. A file of another kind, or of a run, is refused. A link stays;
    what it leads to is replaced."""

    verbose: bool = False
    """Log more."""

    quiet: bool = False
    """Errors only."""

    def run(self) -> int:
        """Convert, and return 0."""
        from vostrack.masks import export_results, read_results
        from vostrack.masks.formats.registry import check_alpha, check_writable

        wanted = check_writable(self.to, "to")
        check_alpha(self.alpha, [wanted.name])
        masks = read_results(self.results, size=self.size and (self.size[1], self.size[0]))
        for note in masks.notes:
            _log.warning("%s", note)
        output = self.output or self._beside(wanted.name, wanted.suffix)
        notes = export_results(
            masks, wanted.name, output, overwrite=self.overwrite, alpha=self.alpha
        )
        for note in notes:
            _log.warning("%s: %s", wanted.name, note)
        if not self.quiet:
            objects = counted(len(masks.objects), "object")
            print(f"{counted(len(masks.frames), 'frame')}, {objects}: {output}")
        return 0

    def _beside(self, name: str, suffix: str) -> Path:
        results = real_path(self.results)
        stem = results.name if results.is_dir() else results.stem
        return results.parent / f"{stem}_{name}{suffix}"
