"""What lies behind the objects: stills, frames of annotated sequences, and real clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vostrack.errors import InputError
from vostrack.masks.palette import read_label_map
from vostrack.video.image_file import displayed_size
from vostrack.video.images import images_in_folder, read_image
from vostrack.video.names import IMAGE_SUFFIXES
from vostrack.video.opening import open_source

__all__ = [
    "LEAST_SIDE",
    "Background",
    "check_sizes",
    "read_background_frame",
    "read_video_frames",
    "remove_object",
    "scan_backgrounds",
]

UInt8Array = NDArray[np.uint8]

LEAST_SIDE = 16
"""Least width and height of a background, pixels; of less, nothing is seen in a clip."""

_VIDEO_SUFFIXES = frozenset({".avi", ".mkv", ".mov", ".mp4", ".webm"})
# Frames are kept no larger than this: clips are smaller, and memory is finite.
_LONGEST_SIDE = 960
# A video file is decoded once and kept; these are some 40 MB.
_MOST_FRAMES = 400
# Inpainting takes time in proportion to the hole, and its result is smooth anyway.
_INPAINT_SIDE = 200


@dataclass(frozen=True)
class Background:
    """A still, or the frames of one video; no pixels.

    Attributes:
        name: file or folder name without suffix.
        frames: image files in order; one for a still, none for a video file.
        masks: the annotation of each frame, or none at all.
        video: the video file, or None.
        length: number of frames; of a long video file the first 400.
    """

    name: str
    frames: tuple[Path, ...]
    masks: tuple[Path, ...] = ()
    video: Path | None = None
    length: int = 1

    @property
    def moves(self) -> bool:
        """Whether there is more than one frame."""
        return self.length > 1


def scan_backgrounds(folders: Sequence[Path]) -> list[Background]:
    """Find the backgrounds below some folders.

    A folder is one of: a data set in the layout of DAVIS (``JPEGImages/480p`` and perhaps
    ``Annotations/480p``), whose sequences are taken; stills; or folders of frames and video files.

    Args:
        folders: where to look.

    Returns:
        The backgrounds, by folder and name.

    Raises:
        InputError: a folder does not exist, or holds nothing that can be a background.
    """
    found: list[Background] = []
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"backgrounds: {folder} is no folder; expected images or videos in it")
        here = _davis_sequences(folder) or [*_stills(folder), *_clips(folder)]
        if not here:
            raise InputError(
                f"backgrounds: {folder} holds nothing to use; expected images, video files, "
                "folders of frames, or JPEGImages/480p"
            )
        found += here
    return found


def check_sizes(places: Sequence[Background]) -> None:
    """Check that backgrounds are large enough to be seen; of each, one header is read.

    Raises:
        InputError: a still or the first frame of a sequence is tiny, or no image.
    """
    for place in places:
        for frame in place.frames[:1]:
            height, width = displayed_size(frame)
            if min(height, width) < LEAST_SIDE:
                raise InputError(
                    f"backgrounds: {frame} is {width} x {height} pixels, expected at least "
                    f"{LEAST_SIDE} x {LEAST_SIDE}; remove it, or leave it out with `exclude`"
                )


def _davis_sequences(folder: Path) -> list[Background]:
    images = folder / "JPEGImages" / "480p"
    if not images.is_dir():
        return []
    found = []
    for sequence in sorted(path for path in images.iterdir() if path.is_dir()):
        frames = images_in_folder(sequence)
        masks = [folder / "Annotations" / "480p" / sequence.name / f"{f.stem}.png" for f in frames]
        annotated = tuple(masks) if all(mask.is_file() for mask in masks) else ()
        found.append(Background(sequence.name, tuple(frames), annotated, length=len(frames)))
    return found


def _stills(folder: Path) -> list[Background]:
    paths = sorted(folder.iterdir())
    return [
        Background(path.stem, (path,))
        for path in paths
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    ]


def _clips(folder: Path) -> list[Background]:
    found = []
    for path in sorted(folder.iterdir()):
        if path.is_dir() and any(p.suffix.lower() in IMAGE_SUFFIXES for p in path.iterdir()):
            frames = tuple(images_in_folder(path))
            found.append(Background(path.name, frames, length=len(frames)))
        elif path.suffix.lower() in _VIDEO_SUFFIXES:
            with open_source(path) as source:
                length = min(source.length or 0, _MOST_FRAMES)
            if length:
                found.append(Background(path.stem, (), video=path, length=length))
    return found


def read_background_frame(background: Background, index: int) -> UInt8Array:
    """Read one frame of a background that consists of images.

    Returns:
        (H, W, 3) uint8 RGB, its longer side at most 960 pixels.

    Raises:
        InputError: the file cannot be read as an image.
    """
    return _limit(read_image(background.frames[index]))


def read_video_frames(background: Background) -> list[UInt8Array]:
    """Decode a background that is a video file.

    Returns:
        The frames as JPEG files in memory, (n,) uint8 each: a tenth of the room of pixels.

    Raises:
        InputError: the file cannot be read as a video.
    """
    assert background.video is not None
    encoded = []
    with open_source(background.video, end=background.length) as source:
        for frame in source:
            small = cv2.cvtColor(_limit(frame.image), cv2.COLOR_RGB2BGR)
            data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 93])[1]
            encoded.append(np.asarray(data, dtype=np.uint8).ravel())
    return encoded


def remove_object(image: UInt8Array, mask: Path) -> UInt8Array:
    """Paint over the annotated object of a frame, so that the place is free.

    Args:
        image: (H, W, 3) uint8 RGB.
        mask: annotation, any value but 0 being the object.

    Returns:
        (H, W, 3) uint8 RGB; smooth where the object was (Telea 2004, at a small size).
    """
    height, width = image.shape[:2]
    hole = (read_label_map(mask) > 0).astype(np.uint8)
    hole = _resize(hole, (width, height), cv2.INTER_NEAREST)
    if not hole.any():
        return image
    hole = np.asarray(cv2.dilate(hole, np.ones((13, 13), np.uint8)), dtype=np.uint8)
    scale = min(1.0, _INPAINT_SIDE / max(height, width))
    small = (max(round(width * scale), 1), max(round(height * scale), 1))
    small_image = _resize(image, small, cv2.INTER_AREA)
    small_hole = cv2.resize(hole.astype(np.float32), small, interpolation=cv2.INTER_AREA) > 0
    filled = cv2.inpaint(small_image, small_hole.astype(np.uint8), 4, cv2.INPAINT_TELEA)
    patched = cv2.resize(filled, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    # A little of the frame's own fine structure, so that the filling is not conspicuously smooth.
    detail = image.astype(np.float32) - cv2.GaussianBlur(image, (0, 0), 2).astype(np.float32)
    detail[hole > 0] = 0
    patched = patched + np.roll(detail, (height // 3, width // 3), axis=(0, 1))
    weight = cv2.GaussianBlur(hole.astype(np.float32), (0, 0), 2.5)[..., None]
    mixed = image.astype(np.float32) * (1 - weight) + patched * weight
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def _limit(image: UInt8Array) -> UInt8Array:
    height, width = image.shape[:2]
    longest = max(height, width)
    if longest <= _LONGEST_SIDE:
        return image
    size = (round(width * _LONGEST_SIDE / longest), round(height * _LONGEST_SIDE / longest))
    # Averaging areas by a broken factor takes ten times as long, and gains nothing at so little.
    little = longest < 1.5 * _LONGEST_SIDE
    return _resize(image, size, cv2.INTER_LINEAR if little else cv2.INTER_AREA)


def _resize(image: UInt8Array, size: tuple[int, int], interpolation: int) -> UInt8Array:
    return np.asarray(cv2.resize(image, size, interpolation=interpolation), dtype=np.uint8)
