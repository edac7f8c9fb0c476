"""Mattes as an OpenEXR sequence: half alpha of each object, and Cryptomatte."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from vostrack.errors import InputError
from vostrack.masks.video_masks import VideoMasks
from vostrack.runs.editors.cryptomatte import metadata, ranks
from vostrack.runs.editors.matted_frames import MattedFrame, matted_frames

__all__ = ["write"]


def write(masks: VideoMasks, output: Path) -> tuple[str, ...]:
    """Write ``NAME.exr`` of each frame.

    Channel ``matte.ID`` is the alpha of an object in half floats. The layers ``CryptoObject00`` and
    so on hold all of them for Cryptomatte, under their names. ``A`` is the alpha of all together.

    Raises:
        InputError: OpenEXR is not installed, or the video cannot be read again.
    """
    try:
        import OpenEXR
    except ImportError:
        raise InputError(
            'format: exr-mattes needs OpenEXR; install it with pip install "vostrack[exr]"'
        ) from None
    names = _unique_names(masks)
    with matted_frames(masks, "exr-mattes") as frames:
        header = {
            "compression": OpenEXR.ZIP_COMPRESSION,
            "type": OpenEXR.scanlineimage,
            "pixelAspectRatio": float(frames.pixel_aspect),
            **metadata(names),
        }
        for frame in frames:
            channels = _channels(masks, names, frame)
            OpenEXR.File(dict(header), channels).write(str(output / f"{frame.name}.exr"))
    return ()


def _channels(masks: VideoMasks, names: list[str], frame: MattedFrame) -> dict[str, Any]:
    halves = {
        f"matte.{entry.id}": alpha.astype(np.float16)
        for entry, alpha in zip(masks.objects, frame.mattes, strict=True)
    }
    together = np.minimum(frame.mattes.sum(axis=0), 1).astype(np.float16)
    return {"A": together, **halves, **ranks(names, frame.mattes)}


def _unique_names(masks: VideoMasks) -> list[str]:
    """Return the names of the objects; those that occur twice get their id."""
    count = Counter(entry.name for entry in masks.objects)
    return [
        entry.name if entry.name and count[entry.name] == 1 else f"{entry.name} {entry.id}".strip()
        for entry in masks.objects
    ]
