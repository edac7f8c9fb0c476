"""What is asked for when a clip is tracked into a folder, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from vostrack.build import TrackerOptions
from vostrack.masks.validation import MAX_OBJECTS, MIN_PIXELS
from vostrack.runs.folder import Extras
from vostrack.video import Reader

__all__ = ["ClipRequest", "ClipSummary", "Observer"]


@dataclass(frozen=True)
class ClipRequest:
    """What is tracked, how, and where the results go.

    Attributes:
        video: whatever ``open_source`` opens by name.
        first_mask: one file or folder, or one file per object; see ``read_first_mask``.
        output: the folder for the results.
        preset: name of the preset.
        device: see ``build_tracker``.
        weights: see ``build_tracker``.
        options: changes to the preset.
        reader: what decodes a video file.
        start: number of the first frame.
        end: number after the last frame.
        stride: every so many frames.
        first_mask_frame: number of the frame that the mask belongs to; the first by default.
        max_objects: refuse a mask with more objects.
        min_pixels: warn of an object with fewer pixels.
        overlay: write ``overlay.mp4``.
        extras: what else is written for each frame.
        overwrite: replace the results of an earlier run.
        resume: continue an interrupted run.
    """

    video: str
    first_mask: tuple[str, ...]
    output: Path
    preset: str = "balanced"
    device: str = "auto"
    weights: str = "auto"
    options: TrackerOptions = field(default_factory=TrackerOptions)
    reader: Reader = "auto"
    start: int = 0
    end: int | None = None
    stride: int = 1
    first_mask_frame: int | None = None
    max_objects: int = MAX_OBJECTS
    min_pixels: int = MIN_PIXELS
    overlay: bool = True
    extras: Extras = field(default_factory=Extras)
    overwrite: bool = False
    resume: bool = False


@dataclass(frozen=True)
class ClipSummary:
    """What came of it.

    Attributes:
        output: the folder.
        frames: frames with a mask.
        ids: the objects.
        finetune_seconds: spent on the first frame.
        frame_seconds: mean seconds per later frame, all stages, without reading and writing.
        truncated: the video broke off before its end.
    """

    output: Path
    frames: int
    ids: tuple[int, ...]
    finetune_seconds: float
    frame_seconds: float
    truncated: bool


class Observer(Protocol):
    """Is told how far the work is."""

    def finetuning(self, model: str, done: int, total: int) -> None:
        """Hear of a fine-tuning step."""
        ...

    def frame(self, done: int, total: int | None) -> None:
        """Hear of a finished frame."""
        ...

    def writing(self, what: str) -> None:
        """Hear what is written at the end."""
        ...
