"""Exports of a project: masks, the video with masks over it, and the formats of other tools."""

from __future__ import annotations

import logging
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.files import atomic_path
from vostrack.masks import (
    FORMATS,
    MaskObject,
    VideoMasks,
    export_results,
    write_label_map,
)
from vostrack.masks.formats.registry import find_format, writable_formats
from vostrack.masks.palette import davis_palette, write_matte
from vostrack.runs.exports import mask_frame
from vostrack.studio.gaps import find_gaps
from vostrack.studio.project import Project
from vostrack.video import Frame, open_source, write_overlay
from vostrack.video.frames import SeekableSource

__all__ = ["ExportChoice", "Exported", "export_choices", "export_project"]

_PLAIN, _EDITING, _TOOLS = "Masks and video", "For editing", "For other tools"
_FOR_EDITING = frozenset({"prores", "webm", "matte-video", "png-mattes", "exr-mattes"})

_log = logging.getLogger("vostrack.studio")


@dataclass(frozen=True)
class ExportChoice:
    """Something that a project can be exported as.

    Attributes:
        name: what requests call it.
        title: what people call it.
        suffix: of the file that is downloaded; folders become ``.zip``.
        group: the heading that it is listed under.
    """

    name: str
    title: str
    suffix: str
    group: str


@dataclass(frozen=True)
class Exported:
    """What an export gave.

    Attributes:
        path: the file.
        notes: what the format does not keep, and where objects are missing.
        version: of the project that it holds; see ``Project.version``.
    """

    path: Path
    notes: tuple[str, ...]
    version: int


def export_choices() -> tuple[ExportChoice, ...]:
    """Return everything that a project can be exported as."""
    own = (
        ExportChoice("masks", "Masks as PNG, as in DAVIS", ".zip", _PLAIN),
        ExportChoice("overlay", "Video with masks over it", ".mp4", _PLAIN),
        ExportChoice("cutouts", "A black and white PNG per object", ".zip", _PLAIN),
    )
    others = [
        ExportChoice(
            entry.name,
            entry.title,
            entry.suffix or ".zip",
            _EDITING if entry.name in _FOR_EDITING else _TOOLS,
        )
        for entry in map(find_format, writable_formats())
        if entry.name not in {one.name for one in own}
    ]
    return (*own, *sorted(others, key=lambda one: one.group == _TOOLS))


def export_project(project: Project, source: SeekableSource, name: str) -> Exported:
    """Export a project; the result lies in its folder ``exports``.

    Args:
        project: the project.
        source: its video, which names the frames and knows their times.
        name: of one of ``export_choices``.

    Returns:
        The file, and what it does not hold.

    Raises:
        InputError: there is no such format, it cannot hold these masks, or no frame has a mask.
    """
    choices = {one.name: one for one in export_choices()}
    if name not in choices:
        raise InputError(f"format: expected one of {', '.join(choices)}, got {name!r}")
    masks = _video_masks(project, source)
    target = project.folder / "exports" / f"{name}{choices[name].suffix}"
    own: dict[str, Callable[[VideoMasks, Project, Path], None]] = {
        "masks": _write_masks,
        "overlay": _write_overlay,
        "cutouts": _write_cutouts,
    }
    notes: tuple[str, ...] = ()
    if name in own:
        target.parent.mkdir(parents=True, exist_ok=True)
        own[name](masks, project, target)
    elif FORMATS[name].suffix:
        notes = export_results(masks, name, target, overwrite=True)
    else:
        folder = target.with_suffix("")
        shutil.rmtree(folder, ignore_errors=True)
        notes = export_results(masks, name, folder, overwrite=True)
        _zip(folder, target)
    notes = (*notes, *(gap.words for gap in find_gaps(project)))
    for note in notes:
        _log.warning("export: %s", note)
    return Exported(target, notes, project.version)


def _video_masks(project: Project, source: SeekableSource) -> VideoMasks:
    video = project.video
    frames = sorted({*project.corrected, *project.tracked})
    if not frames or not project.objects:
        raise InputError("export: no frame has a mask yet; outline an object first")
    return VideoMasks(
        (video.height, video.width),
        tuple(mask_frame(source.names, k, source.time(k)) for k in frames),
        tuple(MaskObject(one.id, one.name, "object") for one in project.objects),
        lambda position: project.labels(frames[position])[0],
        Path(video.path).name,
        source.frame_rate,
        path=str(video.path),
    )


def _label_maps(masks: VideoMasks) -> Iterator[tuple[str, UInt8Array]]:
    for position, frame in enumerate(masks.frames):
        yield frame.name, masks.labels(position)


def _write_masks(masks: VideoMasks, project: Project, target: Path) -> None:
    folder = target.with_suffix("")
    shutil.rmtree(folder, ignore_errors=True)
    for name, labels in _label_maps(masks):
        write_label_map(folder / f"{name}.png", labels)
    _zip(folder, target)


def _write_cutouts(masks: VideoMasks, project: Project, target: Path) -> None:
    folder = target.with_suffix("")
    shutil.rmtree(folder, ignore_errors=True)
    for name, labels in _label_maps(masks):
        for one in masks.objects:
            write_matte(folder / str(one.id) / f"{name}.png", labels == one.id)
    _zip(folder, target)


def _write_overlay(masks: VideoMasks, project: Project, target: Path) -> None:
    palette = davis_palette()
    for one in project.objects:
        palette[one.id] = tuple(bytes.fromhex(one.colour[1:]))
    empty = np.zeros(masks.size, np.uint8)
    with open_source(project.video.path) as source:
        positions = {frame.name: position for position, frame in enumerate(masks.frames)}

        def drawn() -> Iterator[tuple[Frame, UInt8Array]]:
            for frame in source:
                position = positions.get(source.names.name(frame.index))
                yield frame, empty if position is None else masks.labels(position)

        write_overlay(
            target,
            drawn(),
            palette=palette,
            frame_rate=source.frame_rate,
            audio_from=project.video.path if Path(project.video.path).is_file() else None,
            pixel_aspect=source.pixel_aspect,
        )


def _zip(folder: Path, target: Path) -> None:
    with atomic_path(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
