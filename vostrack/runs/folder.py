"""The folder that the results of one clip go to: its files, and what resuming needs."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vostrack.arrays import FloatArray
from vostrack.errors import InputError
from vostrack.masks.palette import write_label_map, write_matte
from vostrack.output_folder import LOCK
from vostrack.refine.matte_edges import MatteEdges
from vostrack.runs.frame_log import FrameLog
from vostrack.runs.indented_json import write_json
from vostrack.runs.matte import frame_mattes
from vostrack.runs.ownership import (
    EXPORTS,
    STATE,
    check_replaceable,
    check_root,
    remove_if_empty,
    remove_results,
    remove_state,
    remove_temporary_files,
    remove_written_files,
    run_record,
    written_files,
)
from vostrack.runs.saved_settings import SavedSettings, unusable
from vostrack.runs.saved_state import read_state, write_state
from vostrack.runs.snapshot import Snapshot
from vostrack.runs.status import UNFINISHED
from vostrack.tracking.tracker import Tracker
from vostrack.tracking.video import Position, TrackedFrame
from vostrack.video import FrameNames

__all__ = ["ClipFolder"]

# Bytes of saved state that a frame may cost. A large state is saved every so many frames, and
# resuming after a kill tracks the frames since then again.
_STATE_BYTES = 150_000


class ClipFolder:
    """The folders of masks, scores, mattes and exports, the overlay, masks.json and run.json.

    While a clip is being tracked, ``.state/`` keeps what is needed to go on from the last finished
    frame, even after the process was killed. Files that no run wrote are never touched.

    Attributes:
        names: the names of the frames, which their files carry.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.overlay = root / "overlay.mp4"
        self.masks_json = root / "masks.json"
        self.run_json = root / "run.json"
        self.exports = root / EXPORTS
        self.names = FrameNames()
        self._state = root / STATE
        self._log = FrameLog(self._state / "frames.jsonl", root)
        self._settings = SavedSettings(self._state / "settings.json")
        self._unsaved: dict[str, Any] | None = None
        self._allowance = 0
        self._state_size = 0

    def check(self, *, overwrite: bool, resume: bool) -> None:
        """Refuse a folder that must not be written to; nothing is changed.

        Raises:
            InputError: it is a file, looks like the name of a video, holds something already,
                holds files of somebody else where results would go, or holds nothing to resume.
        """
        check_root(self.root)
        if resume:
            self._check_resumable()
        elif not overwrite and self._holds_something():
            raise InputError(
                f"output: the folder {self.root} is not empty; `overwrite=True` replaces the "
                "results in it, `resume=True` continues an interrupted run, `output` names another "
                "folder"
            )
        if self.root.is_dir():
            check_replaceable(self.root)

    def check_frames(self, names: FrameNames, indices: Iterable[int]) -> None:
        """Take the names of the frames, and refuse to replace files of somebody else.

        Args:
            names: the names of the frames.
            indices: the frames that results are written for.

        Raises:
            InputError: a file that no run wrote has the name of a result.
        """
        self.names = names
        if self.root.is_dir():
            check_replaceable(self.root, {self.mask(index).name for index in indices})

    def finished(self) -> dict[str, Any] | None:
        """Return ``run.json`` of a run that came to its end; None where there is none."""
        record = run_record(self.run_json)
        ended = record is not None and record["status"] not in UNFINISHED
        return record if ended and not self._settings.path.is_file() else None

    def _check_resumable(self) -> None:
        if self.finished() is not None:
            return
        if not self._settings.path.is_file() and not self.resumable:
            raise InputError(
                f"resume: {self.root} holds no interrupted run; leave `resume` out to begin one"
            )
        if self.resumable:
            self._settings.read()

    def _holds_something(self) -> bool:
        """Tell whether there is more than the state of a run that finished no frame."""
        if not self.root.is_dir():
            return False
        if self.resumable:
            return True
        begun = {STATE, LOCK}
        if self._settings.path.is_file():
            begun.add(self.run_json.name)
        return any(path.name not in begun for path in self.root.iterdir())

    @property
    def resumable(self) -> bool:
        """Whether a run was stopped here after its first frame."""
        return (self._state / "frame.pt").is_file()

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Remove what an earlier run wrote, and note what this one depends on."""
        remove_temporary_files(self.root)
        remove_written_files(self.root)
        remove_state(self._state)
        self._state.mkdir(parents=True, exist_ok=True)
        self._settings.write(settings)

    def discard(self, *, made: bool) -> None:
        """Take back ``begin`` after a run that finished no frame.

        Args:
            made: the folder did not exist before; it goes, unless somebody put something there.
        """
        remove_written_files(self.root)
        remove_temporary_files(self.root)
        remove_state(self._state)
        if made:
            (self.root / LOCK).unlink(missing_ok=True)
            remove_if_empty(self.root)

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Refuse to resume a run under other settings; see ``SavedSettings.check``."""
        self._settings.check(settings)

    def write_frame(
        self,
        snapshot: Snapshot,
        step: TrackedFrame,
        *,
        scores: bool = False,
        mattes: MatteEdges | None = None,
        given: Mapping[int, FloatArray] | None = None,
    ) -> None:
        """Write one frame; once this returns, its files are complete.

        A run that is killed can be resumed after this frame or one shortly before; after
        ``save_state`` it is this frame.

        Args:
            snapshot: of the tracker after the frame; it is saved, or kept for ``save_state``.
            step: the frame with its masks.
            scores: write the score of each object as 8-bit gray PNG.
            mattes: what the edges are made of, to write the alpha matte of each object as 8-bit
                gray PNG; None to write none.
            given: the mattes (H, W) in [0, 1] that the user gave for this frame, by object.

        Raises:
            OSError: the disk is full, or the folder was removed meanwhile.
        """
        try:
            self._write_frame(snapshot, step, scores, mattes, given or {})
        except FileNotFoundError:
            self._settings.require(self.root)
            raise

    def _write_frame(
        self,
        snapshot: Snapshot,
        step: TrackedFrame,
        scores: bool,
        mattes: MatteEdges | None,
        given: Mapping[int, FloatArray],
    ) -> None:
        self._settings.require(self.root)
        result, position = step.result, step.position
        mask = self.mask(position.index)
        grays: dict[Path, FloatArray] = {}
        alphas = dict(given)
        if mattes and not set(result.ids) <= set(alphas):
            made = frame_mattes(step.frame.image, result.labels, result.ids, mattes)
            alphas = {**dict(zip(result.ids, made, strict=True)), **alphas}
        for k, number in enumerate(result.ids):
            if scores:
                grays[self.root / "scores" / str(number) / mask.name] = result.scores[k]
            if mattes:
                grays[self.root / "mattes" / str(number) / mask.name] = alphas[number]
        files = [mask, *grays]
        names = [path.relative_to(self.root).as_posix() for path in files]
        write_json(self._state / "writing.json", names)
        if not (self._state / "start.pt").is_file():
            write_state(self._state / "start.pt", snapshot.start)
        write_label_map(mask, result.labels)
        for path, gray in grays.items():
            write_matte(path, gray)
        record = {
            "index": position.index,
            "frame": self.names.key(position.index),
            "time": round(step.frame.time, 6),
            "ids": list(result.ids),
            "presence": [round(p, 4) for p in result.presence],
            "timings": {k: round(v, 5) for k, v in result.timings.items()},
        }
        self._settings.require(self.root)
        self._log.append(record, files)
        last = {"index": position.index, "direction": position.direction}
        self._unsaved = {**last, "tracker": snapshot.running}
        self._allowance += _STATE_BYTES
        if self._allowance >= self._state_size:
            self.save_state()

    def save_state(self) -> None:
        """Save the state after the frame that was written last, unless it is saved already."""
        if self._unsaved is not None and self._state.is_dir():
            path = self._state / "frame.pt"
            write_state(path, self._unsaved)
            self._unsaved, self._allowance, self._state_size = None, 0, path.stat().st_size

    def load_state(
        self, tracker: Tracker, visited: Callable[[Position], Sequence[int]]
    ) -> Position | None:
        """Put the tracker where the interrupted run stood.

        Args:
            tracker: of the same configuration.
            visited: gives the indices of all frames up to a position, in tracking order.

        Returns:
            The frame of the saved state; the files of later frames are removed, and these are to
            be tracked again. None where files of finished frames are missing or damaged. Then the
            tracker is as it was, and the clip has to be tracked from the first frame.

        Raises:
            InputError: the state cannot be read, another version of vostrack wrote it, or a result
                was edited since.
        """
        remove_temporary_files(self.root)
        self._log.refuse_edited()
        try:
            start = read_state(self._state / "start.pt")
            last = read_state(self._state / "frame.pt")
            position = Position(int(last["index"]), last["direction"])
            wanted = visited(position)
            if not set(wanted) <= {record["index"] for record in self.frames()}:
                return None
            tracker.load_state(start, last["tracker"])
        except InputError as error:
            raise unusable(self._state, str(error)) from None
        except OSError as error:
            raise unusable(self._state, f"it cannot be read ({type(error).__name__})") from None
        except (
            AttributeError,
            EOFError,
            KeyError,
            RuntimeError,
            TypeError,
            ValueError,
            pickle.UnpicklingError,
        ) as error:
            raise unusable(self._state, f"it is damaged ({type(error).__name__})") from None
        remove_results(self.root, self._log.repair(wanted))
        return position

    def frames(self) -> list[dict[str, Any]]:
        """Return the record of each finished frame whose files are whole, by ascending index."""
        return self._log.read()

    def mask(self, index: int) -> Path:
        """Return the path of a frame's label map."""
        return self.root / "masks" / f"{self.names.name(index)}.png"

    def write_run(self, content: Mapping[str, Any]) -> None:
        """Write ``run.json``; it lists the files of the run."""
        files = sorted(written_files(self.root) | {"run.json"})
        write_json(self.run_json, {**content, "files": files})

    def finish(self) -> None:
        """Remove what only resuming needed."""
        remove_state(self._state)
