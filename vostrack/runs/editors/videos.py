"""Writing a video of each object."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import numpy as np

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.masks.video_masks import VideoMasks
from vostrack.refine.matting import foreground
from vostrack.runs.editors.matted_frames import matted_frames
from vostrack.video.alpha_video import AlphaVideoWriter, Encoding

__all__ = ["Colours", "write_videos"]

Colours = Literal["straight", "premultiplied", "matte"]
"""What the colour channels hold: the object's own colours, these times alpha, or alpha in gray."""


def write_videos(
    masks: VideoMasks, output: Path, name: str, encoding: Encoding, colours: Colours, suffix: str
) -> tuple[str, ...]:
    """Write ``ID.suffix`` of each object into a folder. Frames keep their times.

    Args:
        masks: the masks of a run.
        output: the folder.
        name: name of the export in messages.
        encoding: how the videos are stored.
        colours: what their colour channels hold.
        suffix: of the files, with the dot.

    Returns:
        A sentence for each thing that is lost.

    Raises:
        InputError: the video cannot be read again.
    """
    with ExitStack() as stack:
        frames = stack.enter_context(matted_frames(masks, name))
        writers = [
            stack.enter_context(
                AlphaVideoWriter(
                    output / f"{entry.id}{suffix}",
                    encoding,
                    frames.source.frame_rate,
                    pixel_aspect=frames.pixel_aspect,
                )
            )
            for entry in masks.objects
        ]
        for frame in frames:
            for writer, alpha in zip(writers, frame.mattes, strict=True):
                writer.add(coloured(frame.image, alpha, colours), alpha, frame.time)
        aspect = frames.pixel_aspect
    if encoding.keeps_aspect or aspect == 1:
        return ()
    return (
        f"pixels are {aspect.numerator}:{aspect.denominator} and become square: PyAV writes no "
        "shape of a pixel into WebM",
    )


def coloured(image: UInt8Array, alpha: FloatArray, colours: Colours) -> UInt8Array:
    """Return the colour channels (H, W, 3) uint8 of a cut-out."""
    if colours == "matte":
        gray: UInt8Array = np.repeat(np.rint(alpha * 255).astype(np.uint8)[..., None], 3, axis=2)
        return gray
    pure = foreground(image, alpha)
    if colours == "straight":
        return pure
    dimmed: UInt8Array = np.rint(pure * alpha[..., None]).astype(np.uint8)
    return dimmed
