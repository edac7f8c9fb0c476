"""Track one clip into a folder: the work behind ``vostrack track`` and every dataset run."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from vostrack.arrays import UInt8Array
from vostrack.build import build_tracker
from vostrack.compute.threads import cpu_threads
from vostrack.disk_room import no_room
from vostrack.files import expand_home
from vostrack.masks import (
    davis_palette,
    read_label_map,
)
from vostrack.masks.formats.coco import write as write_coco
from vostrack.output_folder import exclusive_folder
from vostrack.runs.anchored import anchored
from vostrack.runs.content import input_paths, video_stamps
from vostrack.runs.exports import clip_masks, write_exports
from vostrack.runs.finished import nothing_left
from vostrack.runs.folder import ClipFolder
from vostrack.runs.frames import mask_position, names_for, open_frames
from vostrack.runs.given import read_given_masks
from vostrack.runs.ownership import check_apart
from vostrack.runs.record import RunRecord, run_settings, summary_of
from vostrack.runs.request import ClipRequest, ClipSummary, Observer, check_observer
from vostrack.runs.snapshot import Snapshot
from vostrack.runs.status import RunStatus, status_after
from vostrack.runs.writing_behind import WritingBehind
from vostrack.tracking.tracker import Tracker
from vostrack.tracking.video import Position, TrackedFrame, track_video, visited_frames
from vostrack.video import (
    Frame,
    VideoWriter,
    draw_overlay,
    write_overlay,
)
from vostrack.wording import counted

__all__ = ["ClipRequest", "ClipSummary", "Observer", "track_clip"]

_log = logging.getLogger("vostrack")


def track_clip(request: ClipRequest, observer: Observer | None = None) -> ClipSummary:
    """Track a clip into ``request.output``.

    All input is checked before anything is written. Relative paths start from the folder that is
    the current one now, even if that changes meanwhile. A run that is stopped or killed can be
    resumed and gives the same result; resuming one that is complete changes nothing.

    Args:
        request: what, how and where.
        observer: told how far the work is.

    Raises:
        InputError: the input or the observer cannot be used; the folder is as it was.
        KeyboardInterrupt: with a message that says how to go on.
    """
    if observer is not None:
        check_observer(observer)
    check_apart(request.output, input_paths(request))
    folder = ClipFolder(request.output)
    folder.check(overwrite=request.overwrite, resume=request.resume)
    with ExitStack() as stack:
        stack.enter_context(cpu_threads(request.threads))
        source = stack.enter_context(open_frames(request))
        mask_position(request, source)
        names = names_for(request, source)
        folder.check_frames(names, source.indices or ())
        given = read_given_masks(request, source)
        tracker = build_tracker(
            request.preset,
            device=request.device,
            weights=request.weights,
            options=request.options,
            on_progress=observer.finetuning if observer is not None else None,
        )
        # Messages so far say what was given.
        request = anchored(request)
        folder = ClipFolder(request.output)
        stamps = video_stamps(request)  # before the content is read
        settings = run_settings(request, source, given, tracker.device)
        made = not folder.root.exists()
        stack.enter_context(exclusive_folder(folder.root))
        # Another run may have begun or ended since the first look.
        folder.check(overwrite=request.overwrite, resume=request.resume)
        folder.check_frames(names, source.indices or ())
        if request.resume and (finished := folder.finished()) is not None:
            return nothing_left(request, finished, settings)
        if request.resume and folder.resumable:
            folder.check_settings(settings)
        record = RunRecord(request, source, given, settings, names, stamps)
        return _Run(record, folder, tracker, observer, made=made).execute()


class _Run:
    """One execution of a request whose input is known to be good."""

    def __init__(
        self,
        record: RunRecord,
        folder: ClipFolder,
        tracker: Tracker,
        observer: Observer | None,
        *,
        made: bool,
    ) -> None:
        self.record, self.folder, self.tracker, self.observer = record, folder, tracker, observer
        self.request, self.source, self.mask = record.request, record.source, record.given.mask
        self.began, self.made, self.looked_at = time.perf_counter(), made, 0

    def execute(self) -> ClipSummary:
        after = None
        if self.request.resume and self.folder.resumable:
            after = self.folder.load_state(self.tracker, self._visited)
            if after is None:
                _log.warning(
                    "files of finished frames are missing or damaged in %s; tracking from the "
                    "first frame again",
                    self.folder.root,
                )
        try:
            if after is None:
                self.folder.begin(self.record.settings)
            self._write_run("running", None, self.folder.frames())
            self._track(after)
            return self._finish()
        except BaseException as error:
            self._stopped(error)
            raise

    def _visited(self, position: Position) -> list[int]:
        return visited_frames(self.source, position, self.record.given.position)

    def _first_pass(self, index: int) -> None:
        """Tell of a frame of the first of two passes; given masks on the way are not told of."""
        self.looked_at += 1
        if self.observer is not None and not self.record.given.later:
            name = self.record.names.name(index)
            self.observer.first_pass(self.looked_at, (self.source.length or 1) - 1, name)

    def _track(self, after: Position | None) -> None:
        done = len(self.folder.frames())
        with ExitStack() as stack:
            live_overlay = None
            if self.source.indices is None and self.request.overlay:
                live_overlay = stack.enter_context(
                    VideoWriter(
                        self.folder.overlay,
                        self.source.frame_rate,
                        pixel_aspect=self.source.pixel_aspect,
                    )
                )
            writing = stack.enter_context(WritingBehind())
            steps = track_video(
                self.tracker,
                self.source,
                self.record.given.by_frame,
                first_mask_frame=None if self.record.given.later else self.record.given.position,
                after=after,
                on_advance=self._first_pass,
            )
            try:
                for step in steps:
                    snapshot = Snapshot.of(self.tracker)
                    writing.add(partial(self._write, snapshot, step, live_overlay))
                    done += 1
                    if self.observer is not None:
                        name = self.record.names.name(step.position.index)
                        self.observer.frame(done, self.source.length, name)
            except KeyboardInterrupt:
                # Ctrl-C is how a live recording ends.
                if not self.source.live or not done:
                    raise
                _log.info("recording stopped after %d frames", done)

    def _write(self, snapshot: Snapshot, step: TrackedFrame, overlay: VideoWriter | None) -> None:
        """Write what is known of a frame; another thread does it, one frame after the other."""
        self.folder.write_frame(
            snapshot,
            step,
            scores=self.request.save_scores,
            mattes=self.request.matte_edges if self.request.save_mattes else None,
            given=self.record.given.mattes(step.position.index, self.request.start),
        )
        if overlay is not None:
            image = draw_overlay(step.frame.image, step.result.labels, palette=davis_palette())
            overlay.add(image, step.frame.time)

    def _stopped(self, error: BaseException) -> None:
        """Leave the folder as it was, or ready to be resumed."""
        with contextlib.suppress(OSError):
            self.folder.save_state()
        frames = self.folder.frames()
        if not frames:
            self.folder.discard(made=self.made)
            if isinstance(error, KeyboardInterrupt):
                raise KeyboardInterrupt(
                    "stopped before the first frame was finished; nothing was written"
                ) from None
            return
        # What cannot be noted must not hide what ended the run.
        with contextlib.suppress(OSError):
            self._write_run(*status_after(error), frames)
        if isinstance(error, OSError) and (reason := no_room(error)) is not None:
            raise OSError(
                error.errno,
                f"{error.filename or self.folder.root}: {reason.problem}; "
                f"{counted(len(frames), 'frame')} finished: {reason.remedy}, then continue the run "
                "with `resume=True`",
            ) from None
        if isinstance(error, KeyboardInterrupt):
            # A second Ctrl-C ends this at once; resuming writes the outputs again.
            with contextlib.suppress(KeyboardInterrupt):
                self._write_outputs(frames)
            total = self.source.length
            first, last = (self.record.names.name(frames[k]["index"]) for k in (0, -1))
            done = counted(len(frames), "frame")
            if total is not None:
                done = f"{len(frames)} of {counted(total, 'frame')}"
            raise KeyboardInterrupt(
                f"stopped: {done} finished in {self.folder.root / 'masks'}: {first} to {last}; "
                "`resume=True` continues the run"
            ) from None

    def _finish(self) -> ClipSummary:
        frames = self.folder.frames()
        self._write_outputs(frames)
        content = self._write_run(self._status(frames), None, frames)
        self.folder.finish()
        if (warning := self.record.replaced()) is not None:
            _log.warning("%s", warning)
        return summary_of(self.folder.root, content)

    def _status(self, frames: list[dict[str, Any]]) -> RunStatus:
        """Say complete only if every frame of the source is there, and whole."""
        if self.source.damage:
            return "damaged"
        done, wanted = {record["index"] for record in frames}, self.source.indices
        whole = wanted is None or done >= set(wanted)
        return "complete" if whole and not self.source.truncated else "truncated"

    def _write_outputs(self, frames: list[dict[str, Any]]) -> None:
        """Write what is made of all frames: masks.json, exports and the overlay."""
        indices = [record["index"] for record in frames]
        masks = clip_masks(self.record, self.folder, frames)
        self._tell("masks.json")
        write_coco(masks, self.folder.masks_json)
        write_exports(
            masks, self.request.export, self.folder.exports, self._tell, self.request.alpha
        )
        if self.request.overlay and self.source.indices is not None:
            self._tell("overlay.mp4")
            write_overlay(
                self.folder.overlay,
                self._overlay_frames(set(indices)),
                palette=davis_palette(),
                frame_rate=self.source.frame_rate,
                audio_from=self._audio(),
                pixel_aspect=self.source.pixel_aspect,
            )

    def _overlay_frames(self, finished: set[int]) -> Iterator[tuple[Frame, UInt8Array]]:
        for frame in self.source:
            if frame.index in finished:
                yield frame, read_label_map(self.folder.mask(frame.index))

    def _audio(self) -> Path | None:
        """Return the file to take the sound from; it fits at any stride, as times are kept."""
        path = expand_home(self.request.video)
        return path if path.is_file() else None

    def _tell(self, what: str) -> None:
        if self.observer is not None:
            self.observer.writing(what)

    def _write_run(
        self, status: RunStatus, error: str | None, frames: list[dict[str, Any]]
    ) -> dict[str, Any]:
        content = self.record.content(status, frames, time.perf_counter() - self.began, error)
        self.folder.write_run(content)
        return content
