"""Reading a file or a folder of any annotation format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vostrack.errors import InputError
from vostrack.file_order import in_natural_order, natural_order
from vostrack.masks.annotations import AnnotatedFrame, Annotations, Size, shortened
from vostrack.masks.formats import (
    cvat,
    labelme,
    mots_txt,
    nnunet,
    results_folder,
    sa_v_folder,
    supervisely,
    tiff_stack,
    yolo_seg,
)
from vostrack.masks.formats.image_folder import has_mots_values, images_in, read_stack
from vostrack.masks.formats.json_layouts import parse_json
from vostrack.masks.formats.label_stack import LabelStack
from vostrack.masks.masks_json import load_json

__all__ = [
    "ANNOTATION_SUFFIXES",
    "is_annotation_file",
    "is_annotation_folder",
    "kind_of_folder",
    "read_annotations",
]

ANNOTATION_SUFFIXES = frozenset({".json", ".xml", ".txt"})
"""Suffixes of files of annotations, in lower case; a TIFF may be a stack of label maps."""


def is_annotation_file(path: Path) -> bool:
    """Tell whether a file contains annotations or a stack of label maps, and not one image."""
    return path.suffix.lower() in ANNOTATION_SUFFIXES or (
        path.is_file() and tiff_stack.is_stack(path)
    )


def is_annotation_folder(folder: Path) -> bool:
    """Tell whether a folder contains annotations in files other than images."""
    return kind_of_folder(folder) is not None


def kind_of_folder(folder: Path) -> str | None:
    """Return the kind of annotations in a folder; None if it has none, or only label maps."""
    if results_folder.is_results_folder(folder):
        return "results"
    if nnunet.is_layout(folder):
        return "nnunet"
    if supervisely.is_project(folder):
        return "supervisely"
    place = folder / "labels" if (folder / "labels").is_dir() else folder
    if any(place.glob("*.txt")) and yolo_seg.files_in(folder):
        return "yolo" if _text_is_yolo(yolo_seg.files_in(folder)) else None
    names = _json_files(folder)
    if names and any(_has_layout(path) for path in names[:3]):
        return "json"
    if sa_v_folder.is_layout(folder):
        return "sa-v"
    images = images_in(folder)
    return "mots" if images and has_mots_values(images[0]) else None


def _text_is_yolo(paths: list[Path]) -> bool:
    for path in paths:
        text = path.read_text(encoding="utf-8", errors="replace")
        if text.strip():
            return yolo_seg.is_layout(text)
    return False


def _json_files(folder: Path) -> list[Path]:
    found = (p for p in folder.glob("*.json") if p.name not in ("meta.json", "run.json"))
    return in_natural_order(found)


def _has_layout(path: Path) -> bool:
    try:
        content = load_json(path)
    except InputError:
        return False
    return labelme.is_layout(content) or supervisely.is_image(content)


def read_annotations(path: Path, size: Size | None = None) -> Annotations | LabelStack:
    """Read a file or a folder of annotations.

    Args:
        path: the file or folder.
        size: H and W of the video in pixels, for formats that state no size.

    Raises:
        InputError: it cannot be read, or its layout is not known.
    """
    if path.is_dir():
        return _read_folder(path, size)
    suffix = path.suffix.lower()
    if suffix == ".xml":
        return cvat.read(path)
    if suffix == ".txt":
        return _read_text(path, size)
    if suffix in (".tif", ".tiff"):
        return tiff_stack.read(path, size)
    return parse_json(load_json(path), str(path))


def _read_folder(folder: Path, size: Size | None) -> Annotations | LabelStack:
    kind = kind_of_folder(folder)
    if kind == "results":
        return results_folder.read_stack(folder)
    if kind == "mots":
        return read_stack(images_in(folder), str(folder))
    if kind == "sa-v":
        return sa_v_folder.read(folder)
    if kind == "nnunet":
        return nnunet.read(folder)
    if kind == "supervisely":
        return _read_project(folder)
    if kind == "yolo":
        return yolo_seg.parse(yolo_seg.files_in(folder), size, str(folder))
    if kind == "json":
        return _of_frames(_json_files(folder))
    raise InputError(
        f"{folder}: contains no annotations that are known, expected labelme, Supervisely, "
        "YOLO or nnU-Net files, or label maps; check the path"
    )


def _read_text(path: Path, size: Size | None) -> Annotations:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read as text ({shortened(error)}), expected masks as MOTS or YOLO "
            "text; check the path"
        ) from error
    if mots_txt.is_layout(text):
        return mots_txt.parse(text, str(path))
    if yolo_seg.is_layout(text):
        return yolo_seg.parse([path], size, str(path))
    first = shortened(text.split("\n", 1)[0], 40)
    if yolo_seg.in_pixels(text):
        raise InputError(
            f"{path}: looks like polygons of YOLO in pixels, expected shares of the image from 0 "
            f"to 1, got {first!r}; divide x by its width and y by its height"
        )
    raise InputError(
        f"{path}: expected lines of MOTS (frame, id, class, height, width, RLE) or of YOLO (class "
        f"and polygon), got {first!r}; export the masks as COCO"
    )


def _read_project(folder: Path) -> Annotations:
    """Read the only video of a Supervisely project, or the images of its first data set."""
    paths = sorted(folder.glob("*/ann/*.json"), key=lambda p: natural_order(str(p)))
    contents = [(path, load_json(path)) for path in paths[:1]]
    if contents and supervisely.is_video(contents[0][1]):
        read = parse_json(contents[0][1], str(paths[0]))
        if len(paths) == 1:
            return read
        note = f"{folder}: contains {len(paths)} videos; the first one, {paths[0].name}, is used"
        return read.noted(note)
    first = [path for path in paths if path.parent == paths[0].parent] if paths else []
    return _of_frames(first)


def _of_frames(paths: list[Path]) -> Annotations:
    """Read files of one image each as the frames of a video."""
    frames: list[AnnotatedFrame] = []
    for path in paths:
        content: Any = load_json(path)
        if labelme.is_layout(content) or supervisely.is_image(content) or _is_empty(content):
            frames += parse_json(content, str(path)).frames
    return Annotations(tuple(frames))


def _is_empty(content: Any) -> bool:
    """Tell whether this is a file of Supervisely without objects."""
    return isinstance(content, dict) and content.get("objects") == [] and "size" in content
