"""Drawing label maps over their frames."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.video.frames import Frame
from vostrack.video.writer import VideoWriter

__all__ = ["draw_overlay", "write_overlay"]


def draw_overlay(
    image: UInt8Array,
    labels: UInt8Array,
    *,
    palette: UInt8Array,
    alpha: float = 0.5,
    contour: bool = True,
) -> UInt8Array:
    """Draw a label map over a frame. The background is unchanged.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8; 0 background.
        palette: (256, 3) uint8 RGB, the colour of each label.
        alpha: opacity of the colour, in [0, 1].
        contour: whether to draw the outline of each object in opaque colour.

    Returns:
        (H, W, 3) uint8 RGB, a new array.

    Raises:
        InputError: the label map does not have the size of the frame, or an argument is out of
            range.
    """
    _check_overlay(image, labels, palette, alpha)
    import cv2

    # Equal to palette[labels], but much faster.
    colours = cv2.LUT(cv2.merge([labels] * 3), palette[None])
    drawn = cv2.addWeighted(image, 1 - alpha, colours, alpha, 0)
    shown = labels > 0
    # copyTo changes the masked pixels of its target in place.
    result = cv2.copyTo(drawn, shown.astype(np.uint8), image.copy())
    if contour:
        result = cv2.copyTo(colours, _outline(labels).astype(np.uint8), result)
    return result.astype(np.uint8, copy=False)


def _check_overlay(
    image: UInt8Array, labels: UInt8Array, palette: UInt8Array, alpha: float
) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise InputError(
            f"frame: expected uint8 of shape (H, W, 3), got {image.dtype} of {image.shape}"
        )
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise InputError(
            f"label map: expected uint8 of shape (H, W), got {labels.dtype} of {labels.shape}"
        )
    if labels.shape != image.shape[:2]:
        raise InputError(
            f"label map: expected {image.shape[1]} x {image.shape[0]} pixels like its frame, got "
            f"{labels.shape[1]} x {labels.shape[0]}; resize it with nearest neighbour"
        )
    if palette.shape != (256, 3) or palette.dtype != np.uint8:
        raise InputError(
            f"palette: expected uint8 of shape (256, 3), got {palette.dtype} of {palette.shape}"
        )
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha: expected an opacity in [0, 1], got {alpha}")


def _outline(labels: UInt8Array) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Return a mask (H, W) of labelled pixels with a differently labelled 4-neighbour."""
    edge = np.zeros(labels.shape, dtype=np.bool_)
    down = labels[1:] != labels[:-1]
    across = labels[:, 1:] != labels[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    return edge & (labels > 0)


def write_overlay(
    path: str | Path,
    frames: Iterable[tuple[Frame, UInt8Array]],
    *,
    palette: UInt8Array,
    frame_rate: float | None,
    audio_from: str | Path | None = None,
    alpha: float = 0.5,
    pixel_aspect: Fraction = Fraction(1),
) -> None:
    """Write an mp4 file of frames with their label maps drawn over them.

    Args:
        path: target file, ending in ``.mp4``. It appears when all frames are written.
        frames: frames with their label maps (H, W) uint8. They are read one at a time.
        palette: (256, 3) uint8 RGB, the colour of each label.
        frame_rate: mean frames per second; None if unknown. The frames keep their own times.
        audio_from: the source file, whose audio is copied if possible.
        alpha: opacity of the colours, in [0, 1].
        pixel_aspect: width of a pixel divided by its height (`FrameSource.pixel_aspect`).

    Raises:
        InputError: there is no frame, a label map does not have the size of its frame, or the file
            cannot be written.
    """
    with VideoWriter(path, frame_rate, audio_from=audio_from, pixel_aspect=pixel_aspect) as writer:
        for frame, labels in frames:
            image = draw_overlay(frame.image, labels, palette=palette, alpha=alpha)
            writer.add(image, frame.time)
