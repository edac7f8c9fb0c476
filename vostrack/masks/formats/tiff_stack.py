"""Multi-page TIFF with one label map on each page, for ImageJ, napari and others.

Written and read by tifffile.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from vostrack.arrays import AnyArray, IntArray
from vostrack.errors import InputError
from vostrack.files import atomic_path
from vostrack.masks.annotations import MOST_PIXELS, shortened
from vostrack.masks.formats.extras import optional
from vostrack.masks.formats.label_stack import LabelStack
from vostrack.masks.image_opening import needed_orientation
from vostrack.masks.picture_names import file_or_none, position_or_none
from vostrack.masks.video_masks import MaskFrame, VideoMasks
from vostrack.tiff import full_pages, turned_upright

__all__ = ["is_stack", "read", "write", "write_as"]

_MOST_FRAMES = 1 << 20
_ORIENTATION = 274


def is_stack(path: Path) -> bool:
    """Tell whether a file is a TIFF with several pages, not counting previews."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        return False
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return image.format == "TIFF" and len(list(islice(full_pages(image), 2))) > 1
    except UnidentifiedImageError:
        # Such as 32-bit planes, which Pillow does not know.
        with path.open("rb") as file:
            return file.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    except Exception:  # Pillow lets many kinds of damage through
        return False


def read(path: Path, size: tuple[int, int] | None = None) -> LabelStack:
    """Read a stack. Pages are read on demand.

    Args:
        path: the file.
        size: H and W of the video in pixels, if known; see ``needed_orientation``.

    Raises:
        InputError: tifffile is not installed, the file is damaged, or its pages are no label maps.
    """
    tifffile = optional("tifffile", "formats", "multi-page TIFF")
    try:
        with tifffile.TiffFile(path) as file:
            series = _series(file)
            shape, kind, paged = series.shape, series.dtype.kind, len(series.pages)
            stated: Any = (file.shaped_metadata or ({},))[0]
            orientation = int(series.keyframe.tags.valueof(_ORIENTATION, 1))
    except Exception as error:  # tifffile lets many kinds of damage through
        raise _damaged(path, error) from error
    flat = len(shape) == 2
    if flat:
        shape, paged = (1, *shape), 1
    usable = len(shape) == 3 and min(shape) > 0 and shape[0] <= _MOST_FRAMES
    if kind not in "biuf" or not usable or shape[-1] * shape[-2] > MOST_PIXELS:
        raise InputError(
            f"{path}: expected a stack (frames, height, width) of integer labels, got shape "
            f"{shortened(shape, 40)}; save one channel, as unsigned integers"
        )
    orientation = needed_orientation(orientation, (int(shape[1]), int(shape[2])), size)

    def read_page(position: int) -> IntArray:
        try:
            with tifffile.TiffFile(path) as file:
                series = _series(file)
                if flat or paged == shape[0]:
                    values: AnyArray = series.pages[position].asarray()
                else:
                    values = series.asarray()[position]
        except Exception as error:  # tifffile lets many kinds of damage through
            raise _damaged(path, error) from error
        if values.shape != shape[1:]:
            raise _damaged(path, f"page {position} has shape {values.shape}")
        return _whole(turned_upright(values, orientation), path)

    height, width = shape[1:] if orientation not in range(5, 9) else shape[:0:-1]
    own = stated.get("vostrack")
    own = own if isinstance(own, dict) else {}
    try:
        return LabelStack(
            (int(height), int(width)), _frames(own, int(shape[0])), read_page,
            names={int(n): (str(name), str(kind)) for n, name, kind in own.get("objects", ())},
            source=str(own.get("video", "")), frame_rate=own.get("frame_rate"),
        )  # fmt: skip
    except (TypeError, ValueError) as error:
        raise _damaged(path, error) from error


def _series(file: Any) -> Any:
    """Return the first series of pages that are no previews."""
    return next((s for s in file.series if not s.keyframe.is_reduced), file.series[0])


def _whole(values: AnyArray, path: Path) -> IntArray:
    """Return labels as integers. ImageJ and others store them as floats."""
    if values.dtype.kind == "f" and not (
        np.isfinite(values).all() and (abs(values) < 1 << 31).all() and (values % 1 == 0).all()
    ):
        raise InputError(
            f"{path}: contains fractions, expected integer labels; save the label maps as unsigned "
            "integers"
        )
    return values.astype(np.int64)


def _frames(own: dict[str, Any], count: int) -> tuple[MaskFrame, ...]:
    listed = own.get("frames", [])
    if len(listed) != count:
        return tuple(MaskFrame(k, f"{k:05d}") for k in range(count))
    return tuple(
        MaskFrame(
            int(number),
            str(name),
            None if time is None else float(time),
            bool(named),
            file_or_none(more[0]) if more else None,
            position_or_none(more[1]) if more[1:] else None,
        )
        for number, name, time, named, *more in listed
    )


def _damaged(path: Path, error: object) -> InputError:
    return InputError(
        f"{path}: cannot be read as a TIFF stack ({shortened(error)}), expected label maps on its "
        "pages; save it again"
    )


def write(masks: VideoMasks, output: Path) -> tuple[str, ...]:
    """Write 8-bit pages, compressed. Frames and objects are in the image description."""
    return write_as(masks, output, np.uint8)


def write_as(masks: VideoMasks, output: Path, dtype: type[np.integer[Any]]) -> tuple[str, ...]:
    """Write the pages with some type of integers.

    Raises:
        InputError: tifffile is not installed.
    """
    tifffile = optional("tifffile", "formats", "multi-page TIFF")
    height, width = masks.size

    def pages() -> Iterator[AnyArray]:
        for position in range(len(masks.frames)):
            yield masks.labels(position).astype(dtype)

    own = {
        "frames": [(f.number, f.name, f.time, f.named, f.file, f.position) for f in masks.frames],
        "objects": [(entry.id, entry.name, entry.category) for entry in masks.objects],
        "video": masks.video,
        "frame_rate": masks.frame_rate,
    }
    with atomic_path(output) as temporary, tifffile.TiffWriter(temporary, bigtiff=False) as writer:
        writer.write(
            pages(),
            shape=(len(masks.frames), height, width),
            dtype=dtype,
            photometric="minisblack",
            compression="zlib",
            metadata={"axes": "TYX", "vostrack": own},
        )
    return ()
