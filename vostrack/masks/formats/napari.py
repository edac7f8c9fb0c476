"""napari: a labels layer (T, H, W).

On disk it is a TIFF of 32-bit integers, because napari opens 8- and 16-bit files as images
(``napari.layers.image._image_utils.guess_labels``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vostrack.masks.formats.tiff_stack import write_as
from vostrack.masks.video_masks import VideoMasks

__all__ = ["labels_layer", "write"]


def write(masks: VideoMasks, output: Path) -> tuple[str, ...]:
    """Write a TIFF that napari opens as a labels layer."""
    return write_as(masks, output, np.int32)


def labels_layer(masks: VideoMasks) -> tuple[NDArray[np.int32], dict[str, Any], str]:
    """Return a layer as napari's readers do: data, settings and the kind.

    ``viewer.add_labels(data, **settings)`` shows it; napari need not be installed.

    Args:
        masks: the masks of a video.

    Returns:
        The labels (T, H, W) int32, with the settings ``name``, ``features`` (the name and class of
        each label) and ``metadata`` (names, numbers and times of the frames), and ``"labels"``.
    """
    data = np.stack([masks.labels(k) for k in range(len(masks.frames))]).astype(np.int32)
    features = {
        "index": [0, *(entry.id for entry in masks.objects)],
        "name": ["background", *(entry.name for entry in masks.objects)],
        "category": ["background", *(entry.category for entry in masks.objects)],
    }
    metadata = {
        "frame_names": [frame.name for frame in masks.frames],
        "frame_numbers": [frame.number for frame in masks.frames],
        "frame_times": [frame.time for frame in masks.frames],
    }
    settings = {"name": masks.video or "masks", "features": features, "metadata": metadata}
    return data, settings, "labels"
