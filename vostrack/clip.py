"""Track one clip into a folder: the work behind ``vostrack track`` and every dataset run."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vostrack.build import TrackerOptions, build_tracker, effective_preset, resolve_preset
from vostrack.clip_folder import ClipFolder, Extras
from vostrack.errors import InputError
from vostrack.masks import (
    FirstMask,
    davis_palette,
    read_first_mask,
    read_label_map,
    write_masks_json,
)
from vostrack.masks.validation import MAX_OBJECTS, MIN_PIXELS
from vostrack.protocols import UInt8Array
from vostrack.tracker import Tracker
from vostrack.video import (
    Frame,
    FrameSource,
    Reader,
    VideoWriter,
    draw_overlay,
    open_source,
    write_overlay,
)
from vostrack.walk import Position, track_video

__all__ = ["ClipRequest", "ClipSummary", "Observer", "track_clip"]

_log = logging.getLogger("vostrack")
_VERSIONED = ("vostrack", "torch", "torchvision", "numpy", "opencv-python", "av")


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


def track_clip(request: ClipRequest, observer: Observer | None = None) -> ClipSummary:
    """Track a clip into ``request.output``.

    All input is checked before anything is written. Each frame is complete on disk before the next
    begins, so that a run that is stopped or killed can be resumed and gives the same result.

    Args:
        request: what, how and where.
        observer: told how far the work is.

    Raises:
        InputError: the input cannot be used; the folder is as it was.
        KeyboardInterrupt: with a message that says how to go on.
    """
    folder = ClipFolder(request.output)
    folder.check(overwrite=request.overwrite, resume=request.resume)
    with ExitStack() as stack:
        source = stack.enter_context(
            open_source(
                request.video,
                reader=request.reader,
                start=request.start,
                end=request.end,
                stride=request.stride,
            )
        )
        mask = _read_mask(request, source)
        tracker = build_tracker(
            request.preset,
            device=request.device,
            weights=request.weights,
            options=request.options,
            on_progress=observer.finetuning if observer is not None else None,
        )
        settings = _settings(request, source, mask)
        if request.resume and folder.resumable:
            folder.check_settings(settings)
        run = _Run(request, folder, source, mask, tracker, observer, settings)
        return run.execute()


class _Run:
    """One execution of a request whose input is known to be good."""

    def __init__(
        self,
        request: ClipRequest,
        folder: ClipFolder,
        source: FrameSource,
        mask: FirstMask,
        tracker: Tracker,
        observer: Observer | None,
        settings: dict[str, Any],
    ) -> None:
        self.request, self.folder, self.source = request, folder, source
        self.mask, self.tracker, self.observer = mask, tracker, observer
        self.settings = settings
        self.began = time.time()

    def execute(self) -> ClipSummary:
        after, made = None, False
        if self.request.resume and self.folder.resumable:
            after = self.folder.restore(self.tracker)
        else:
            if self.request.overwrite:
                self.folder.clear()
            made = self.folder.begin(self.settings)
        try:
            self._track(after)
            return self._finish()
        except BaseException as error:
            self._stopped(error, made)
            raise

    def _track(self, after: Position | None) -> None:
        done = len(self.folder.frames())
        with ExitStack() as stack:
            live_overlay = None
            if self.source.indices is None and self.request.overlay:
                live_overlay = stack.enter_context(
                    VideoWriter(self.folder.overlay, self.source.frame_rate)
                )
            steps = track_video(
                self.tracker,
                self.source,
                self.mask.labels,
                first_mask_frame=self.request.first_mask_frame,
                after=after,
            )
            try:
                for frame, result, position in steps:
                    self.folder.write_frame(
                        self.tracker, result, position, frame.time, self.request.extras
                    )
                    done += 1
                    if live_overlay is not None:
                        image = draw_overlay(frame.image, result.labels, palette=davis_palette())
                        live_overlay.add(image, frame.time)
                    if self.observer is not None:
                        self.observer.frame(done, self.source.length)
            except KeyboardInterrupt:
                # Ctrl-C is how a live recording ends.
                if not self.source.live or not done:
                    raise
                _log.info("recording stopped after %d frames", done)

    def _stopped(self, error: BaseException, made: bool) -> None:
        """Leave the folder as it was, or ready to be resumed."""
        frames = self.folder.frames()
        if not frames:
            self.folder.discard(made=made)
            if isinstance(error, KeyboardInterrupt):
                raise KeyboardInterrupt(
                    "stopped before the first frame was finished; nothing was written"
                ) from None
            return
        self._write_run("interrupted", frames)
        if isinstance(error, KeyboardInterrupt):
            total = self.source.length
            raise KeyboardInterrupt(
                f"stopped: {len(frames)} of {total if total is not None else 'unknown'} frames are "
                f"finished in {self.folder.root / 'masks'}; the same command with --resume goes on"
            ) from None

    def _finish(self) -> ClipSummary:
        frames = self.folder.frames()
        indices = [record["index"] for record in frames]
        self._tell("masks.json")
        write_masks_json(
            self.folder.masks_json,
            self._labels(indices),
            self.mask.ids,
            self.source.size,
            names=dict(zip(self.mask.ids, self.mask.names, strict=True)),
            info={"video": self.source.name, "frame_rate": self.source.frame_rate},
        )
        if self.request.overlay and self.source.indices is not None:
            self._tell("overlay.mp4")
            write_overlay(
                self.folder.overlay,
                self._overlay_frames(set(indices)),
                palette=davis_palette(),
                frame_rate=self.source.frame_rate,
                audio_from=self._audio(),
            )
        timings = self._write_run("complete", frames)
        self.folder.finish()
        return ClipSummary(
            output=self.folder.root,
            frames=len(frames),
            ids=self.mask.ids,
            finetune_seconds=timings.get("fine-tuning", 0.0),
            frame_seconds=sum(v for k, v in timings.items() if k != "fine-tuning"),
            truncated=self.source.truncated,
        )

    def _labels(self, indices: list[int]) -> Iterator[tuple[int, UInt8Array]]:
        for index in indices:
            yield index, read_label_map(self.folder.mask(index))

    def _overlay_frames(self, finished: set[int]) -> Iterator[tuple[Frame, UInt8Array]]:
        for frame in self.source:
            if frame.index in finished:
                yield frame, read_label_map(self.folder.mask(frame.index))

    def _audio(self) -> Path | None:
        """Return the file to take the sound from: of whole videos only, where it fits."""
        path = Path(self.request.video)
        return path if path.is_file() and self.request.stride == 1 else None

    def _tell(self, what: str) -> None:
        if self.observer is not None:
            self.observer.writing(what)

    def _config(self) -> dict[str, Any]:
        """Return every setting of the preset that was used."""
        preset = effective_preset(self.request.preset, self.request.weights)
        return {"preset": preset, **asdict(resolve_preset(preset, self.request.options))}

    def _write_run(self, status: str, frames: list[dict[str, Any]]) -> dict[str, float]:
        """Write ``run.json`` and return the mean seconds per stage."""
        timings = _mean_timings(frames)
        self.folder.write_run(
            {
                "status": status,
                "settings": self.settings,
                "config": self._config(),
                "versions": _versions(),
                "device": str(self.tracker.device),
                "frames": len(frames),
                "frames_in_source": self.source.length,
                "truncated": self.source.truncated,
                "warnings": list(self.mask.warnings),
                "objects": [
                    {
                        "id": number,
                        "name": name,
                        "presence": {r["index"]: r["presence"][k] for r in frames},
                    }
                    for k, (number, name) in enumerate(
                        zip(self.mask.ids, self.mask.names, strict=True)
                    )
                ],
                "seconds": {k: round(v, 4) for k, v in timings.items()},
                "wall_seconds": round(time.time() - self.began, 2),
            }
        )
        return timings


def _read_mask(request: ClipRequest, source: FrameSource) -> FirstMask:
    paths = request.first_mask
    if not paths:
        raise InputError("first mask: expected a file, a folder or several files, got none")
    mask = read_first_mask(
        paths[0] if len(paths) == 1 else list(paths),
        size=source.size,
        max_objects=request.max_objects,
        min_pixels=request.min_pixels,
    )
    for warning in mask.warnings:
        _log.warning("%s", warning)
    return mask


def _settings(request: ClipRequest, source: FrameSource, mask: FirstMask) -> dict[str, Any]:
    """Return what the result depends on."""
    settings = asdict(request)
    for name in ("output", "overlay", "overwrite", "resume", "max_objects", "min_pixels"):
        del settings[name]
    labels = mask.labels
    settings["mask_pixels"] = {str(i): int((labels == i).sum()) for i in mask.ids}
    settings["frame_size"] = list(source.size)
    settings["frames"] = source.length
    return settings


def _mean_timings(frames: list[dict[str, Any]]) -> dict[str, float]:
    """Return the mean seconds of each stage over the frames that had it."""
    stages: dict[str, list[float]] = {}
    for record in frames:
        for stage, seconds in record["timings"].items():
            stages.setdefault(stage, []).append(seconds)
    return {stage: float(np.mean(seconds)) for stage, seconds in stages.items()}


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
