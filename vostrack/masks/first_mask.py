"""Reading the first mask, in any of the supported formats."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from vostrack.arrays import BoolArray, FloatArray
from vostrack.errors import InputError
from vostrack.file_order import in_natural_order
from vostrack.masks.annotated_frame import mask_of_a_frame
from vostrack.masks.formats.label_stack import LabelStack, mask_of_stack
from vostrack.masks.formats.reading import (
    is_annotation_file,
    is_annotation_folder,
    read_annotations,
)
from vostrack.masks.frame_names import VideoFrames, last_number, names_frames, place
from vostrack.masks.image_forms import read_color, read_gray, read_lossy, read_palette
from vostrack.masks.image_opening import loses_detail, open_image, upright
from vostrack.masks.palette import VOID
from vostrack.masks.parsed_mask import ParsedMask
from vostrack.masks.stack import stack_masks
from vostrack.masks.validation import (
    MAX_OBJECTS,
    MIN_PIXELS,
    FirstMask,
    check_limits,
    finish,
)

__all__ = ["images_in", "read_first_mask"]

ImageForm = Literal["palette", "gray", "color", "lossy"]
Source = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_GRAY = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F"})
# Colours for print and of photographs.
_CONVERTED = ("CMYK", "LAB", "HSV", "YCbCr")
_IMAGE_SUFFIXES = frozenset(
    {".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga"}
    | {".tif", ".tiff", ".webp"}
)
# Folders of a PASCAL VOC export that contain masks; instances are better than classes.
_EXPORT_FOLDERS = ("SegmentationObject", "SegmentationClass")
_IMAGE_READERS: dict[ImageForm, Callable[[Image.Image, str, int], ParsedMask]] = {
    "palette": read_palette,
    "gray": read_gray,
    "color": read_color,
    "lossy": read_lossy,
}


def read_first_mask(
    source: Source,
    *,
    size: tuple[int, int] | None = None,
    max_objects: int = MAX_OBJECTS,
    min_pixels: int = MIN_PIXELS,
    frames: VideoFrames | None = None,
) -> FirstMask:
    """Read the first mask from a file, a folder or several files.

    ========================================  =====================================================
    source                                    objects
    ========================================  =====================================================
    indexed (palette) PNG                     the indices, or the colours of a reduced picture; 255
                                              is void
    gray PNG, 1 to 16 bits                    the stored values; 255 (65535) is void; 0/1 and
                                              0/255 (65535) mean one object, 85/170/255 three
    float TIFF with fractions                 one: a matte from 0 to 1, 255 or 65535
    RGB or RGBA                               one per colour, on black, on transparent, or on the
                                              background of ``labelmap.txt``
    cut-out picture, black on transparent     one, where it is opaque
    JPEG, WebP with loss                      one, if clearly black and white
    ``.json``, ``.xml``, ``.txt``, TIFF       annotations of other tools: COCO, YouTube-VIS, CVAT,
    stack, folder of such files               MOTS and all that ``vostrack.masks.FORMATS`` reads
    folder, or several files                  one per file, in natural order of the names (a list
                                              keeps its order); where masks overlap, the later wins
    ========================================  =====================================================

    Pixels of smoothed edges become the nearest object, with a warning, and ``FirstMask.alpha``
    keeps the soft edge. A black object on white is inverted, with a warning.

    Args:
        source: the path or paths.
        size: H and W of the video in pixels, if known.
        max_objects: maximum number of objects, 1..254.
        min_pixels: a warning is issued for objects with fewer pixels; at least 0.
        frames: the frames of the video, if known. The masks of one of them are read, and files
            named after other frames are refused or noted.

    Returns:
        The mask, with the objects' ids and names, the frame that the source states, and warnings.

    Raises:
        InputError: the mask cannot be used. The message names the problem and the remedy.
    """
    check_limits(max_objects, min_pixels)
    frames = frames or VideoFrames()
    try:
        origin, parsed = _read(source, _Wanted(size, max_objects, frames))
    except MemoryError as error:
        raise InputError(
            f"first mask: {source} needs more memory than there is, expected a mask of the size of "
            "the video; check the file"
        ) from error
    return finish(parsed, origin, size, min_pixels)


def detect_form(image: Image.Image, origin: str) -> ImageForm:
    """Detect the kind of mask from an image's file format and pixel mode.

    Raises:
        InputError: the pixel mode cannot be a mask.
    """
    if loses_detail(image, Path(origin)):
        return "lossy"
    if image.mode == "P":
        return "palette"
    if image.mode in _GRAY:
        return "gray"
    if image.mode in ("RGB", "RGBA", "RGBa", "RGBX", "PA", *_CONVERTED):
        return "color"
    raise InputError(
        f"{origin}: an image of mode {image.mode}, expected palette, gray, RGB or RGBA; "
        "save the mask as PNG"
    )


@dataclass(frozen=True)
class _Wanted:
    """What is expected of the mask: the size of the video, the most objects and the frames."""

    size: tuple[int, int] | None
    limit: int
    frames: VideoFrames


def _read(source: Source, wanted: _Wanted) -> tuple[str, ParsedMask]:
    if not isinstance(source, (str, os.PathLike)):
        paths = [Path(path) for path in source]
        if len(paths) == 1:
            return _read(paths[0], wanted)
        if not paths:
            raise InputError("first mask: got no file, expected at least one; give a PNG")
        return "first mask", _read_files(paths, "first mask", wanted)
    path = Path(source)
    if path.is_dir() and is_annotation_folder(path):
        return str(path), _read_annotated(path, wanted)
    if path.is_dir():
        paths = images_in(path)
        if len(paths) == 1:
            return _read(paths[0], wanted)
        return str(path), _read_files(paths, str(path), wanted)
    if is_annotation_file(path):
        return str(path), _read_annotated(path, wanted)
    frame, notes = place(str(path), wanted.frames)
    parsed = _read_image(path, wanted.limit, wanted.size).noted(*notes)
    return str(path), replace(_known_by_file(parsed, path), frame=frame)


def _known_by_file(parsed: ParsedMask, path: Path) -> ParsedMask:
    """Let the name of the file tell a single object 1: white on black states no id."""
    if parsed.known_by != "ids" or np.setdiff1d(parsed.labels, (0, VOID)).tolist() != [1]:
        return parsed
    return replace(parsed, known_by="files", identities=({1: path.stem}, *parsed.identities))


def _read_annotated(path: Path, wanted: _Wanted) -> ParsedMask:
    found = read_annotations(path, wanted.size)
    if isinstance(found, LabelStack):
        return mask_of_stack(found, wanted.frames, wanted.limit, str(path))
    return mask_of_a_frame(found, wanted.size, wanted.limit, wanted.frames, str(path))


def _read_image(path: Path, max_objects: int, size: tuple[int, int] | None) -> ParsedMask:
    image, turned = upright(open_image(path), size)
    parsed = _IMAGE_READERS[detect_form(image, str(path))](image, str(path), max_objects)
    if turned:
        parsed = parsed.noted(f"{path}: its orientation (EXIF) was applied")
    if image.mode not in _CONVERTED:
        return parsed
    return parsed.noted(f"{path}: colours in {image.mode} were converted to RGB")


def _read_files(paths: Sequence[Path], origin: str, wanted: _Wanted) -> ParsedMask:
    """Read one binary mask per file, or the file of one frame."""
    if names_frames([path.name for path in paths]):
        return _read_one_of(paths, origin, wanted)
    if len(paths) > wanted.limit:
        raise InputError(
            f"{origin}: got {len(paths)} mask files with one object each, expected at most "
            f"{wanted.limit}; give fewer, or, if they are the masks of successive frames, give "
            f"only the first one: {paths[0]}"
        )
    masks: list[BoolArray] = []
    warnings: list[str] = []
    alpha: dict[int, FloatArray] = {}
    for number, path in enumerate(paths, start=1):
        parsed = _read_image(path, 254, wanted.size)
        ids = np.setdiff1d(parsed.labels, (0, VOID))
        if len(ids) > 1:
            raise InputError(
                f"{path}: contains {len(ids)} objects ({', '.join(map(str, ids[:8]))}), expected "
                "one in each of several files; give only this file, or one binary mask per object"
            )
        if masks and parsed.labels.shape != masks[0].shape:
            (h0, w0), (h, w) = masks[0].shape, parsed.labels.shape
            raise InputError(
                f"{path}: the mask is {w}x{h} pixels (width x height), expected {w0}x{h0} like "
                f"{paths[0]}; create all masks on the same frame"
            )
        masks.append(parsed.labels == ids[0])
        warnings += parsed.warnings
        if parsed.alpha is not None:
            alpha[number] = parsed.alpha[int(ids[0])]
    if names_frames([path.name for path in paths], masks):
        return _read_one_of(paths, origin, wanted)
    stacked = stack_masks(
        masks, range(1, len(paths) + 1), [path.stem for path in paths], origin, wanted.limit
    )
    return replace(stacked, alpha=alpha or None, known_by="files").noted(*warnings)


def _read_one_of(paths: Sequence[Path], origin: str, wanted: _Wanted) -> ParsedMask:
    """Read the file of the frame that the user asked for.

    Raises:
        InputError: the user did not ask for a frame, or no file is named after it.
    """
    numbers = [last_number(path.name) for path in paths]
    shown = ", ".join(map(str, numbers[:6])) + (", ..." if len(numbers) > 6 else "")
    asked = wanted.frames.asked
    if asked is None or asked not in numbers:
        came = "" if asked is None else f", and none after frame {asked}"
        raise InputError(
            f"{origin}: the {len(paths)} files are named after different frames ({shown}){came}, "
            "expected the masks of one frame. Give only the first one: "
            f"{paths[0]}, or set `first_mask_frame` to one of these numbers. `vostrack track` "
            f"takes masks of several frames, each with its frame: {numbers[0]}={paths[0]}. If the "
            "files are objects of one frame, name them obj1, obj2 and so on"
        )
    path = paths[numbers.index(asked)]
    return replace(_read_image(path, wanted.limit, wanted.size), frame=asked).noted(
        f"{origin}: the files are named after different frames; {path.name} is used for frame "
        f"{asked}"
    )


def images_in(folder: Path) -> list[Path]:
    """Return the images in a folder, or in that of a PASCAL VOC export, in natural order.

    Raises:
        InputError: there is none.
    """
    found = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in _IMAGE_SUFFIXES and not path.name.startswith(".")
    ]
    if found:
        return in_natural_order(found)
    for name in _EXPORT_FOLDERS:
        if (folder / name).is_dir():
            return images_in(folder / name)
    raise InputError(
        f"{folder}: the folder contains no image, expected one binary mask (PNG) per object; "
        "check the path"
    )
