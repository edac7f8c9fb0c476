"""The folder that the results of one clip go to: its files, and what resuming needs."""

from __future__ import annotations

import contextlib
import json
import pickle
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vostrack.arrays import FloatArray
from vostrack.errors import InputError
from vostrack.files import atomic_path
from vostrack.masks.palette import write_label_map, write_matte
from vostrack.tracking.tracker import FrameResult, Tracker
from vostrack.tracking.video import Position

__all__ = ["ClipFolder", "Extras", "matte"]

_STATE = ".state"
_OURS = ("masks", "scores", "mattes", "overlay.mp4", "masks.json", "run.json", _STATE)


@dataclass(frozen=True)
class Extras:
    """What is written for each frame besides its label map.

    Attributes:
        scores: the score of each object as 8-bit gray PNG.
        mattes: the alpha matte of each object as 8-bit gray PNG.
    """

    scores: bool = False
    mattes: bool = False


def matte(result: FrameResult, index: int) -> FloatArray:
    """Return the alpha matte (H, W) in [0, 1] of object ``index`` (position in ``ids``).

    Opaque where the object is certain, soft across its edge (scores of 0.25 to 0.75), and empty
    on the pixels of other objects.
    """
    alpha = np.clip((result.scores[index] - 0.25) / 0.5, 0, 1)
    others = (result.labels != 0) & (result.labels != result.ids[index])
    alpha[others] = 0
    opaque: FloatArray = alpha.astype(np.float32, copy=False)
    return opaque


class ClipFolder:
    """``masks/``, ``scores/``, ``mattes/``, ``overlay.mp4``, ``masks.json`` and ``run.json``.

    While a clip is being tracked, ``.state/`` keeps what is needed to go on from the last finished
    frame, even after the process was killed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.overlay = root / "overlay.mp4"
        self.masks_json = root / "masks.json"
        self.run_json = root / "run.json"
        self._state = root / _STATE

    def check(self, *, overwrite: bool, resume: bool) -> None:
        """Refuse a folder that must not be written to; nothing is changed.

        Raises:
            InputError: it is a file, holds something already, or holds nothing to resume.
        """
        if self.root.exists() and not self.root.is_dir():
            raise InputError(f"output: {self.root} is a file; give the name of a folder")
        if resume:
            if self.run_json.is_file() and not self._state.is_dir():
                raise InputError(
                    f"resume: {self.root} is complete; nothing is left to do (--overwrite tracks "
                    "it again)"
                )
            if not self._state.is_dir():
                raise InputError(
                    f"resume: {self.root} holds no interrupted run; leave --resume out to begin one"
                )
        elif self._holds_something() and not overwrite:
            raise InputError(
                f"output: the folder {self.root} is not empty; --overwrite replaces the results in "
                "it, --resume continues an interrupted run, --output names another folder"
            )

    def _holds_something(self) -> bool:
        """Tell whether there is more than the state of a run that finished no frame."""
        if not self.root.is_dir():
            return False
        return any(path.name != _STATE or self.resumable for path in self.root.iterdir())

    @property
    def resumable(self) -> bool:
        """Whether a run was stopped here after its first frame."""
        return (self._state / "frame.pt").is_file()

    def clear(self) -> None:
        """Remove the results of an earlier run; files of others stay."""
        for name in _OURS:
            path = self.root / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def begin(self, settings: Mapping[str, Any]) -> bool:
        """Make the folder and note what the run depends on.

        Returns:
            Whether the folder had to be made.
        """
        made = not self.root.exists()
        self._state.mkdir(parents=True, exist_ok=True)
        _write_json(self._state / "settings.json", settings)
        return made

    def discard(self, *, made: bool) -> None:
        """Take back ``begin`` after a run that finished no frame."""
        shutil.rmtree(self._state, ignore_errors=True)
        if made:
            # Not empty only if somebody put something there meanwhile: then it stays.
            with contextlib.suppress(OSError):
                self.root.rmdir()

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Refuse to resume a run under other settings.

        Raises:
            InputError: names the first setting that differs.
        """
        before = json.loads((self._state / "settings.json").read_text())
        now = json.loads(json.dumps(settings))
        # In the order of the request, so that a cause is named before its consequence.
        for key in {**now, **before}:
            if before.get(key) != now.get(key):
                raise InputError(
                    f"resume: {key} was {before.get(key)!r} in the interrupted run and is "
                    f"{now.get(key)!r} now; resume with the same settings, or start anew with "
                    "--overwrite"
                )

    def write_frame(
        self,
        tracker: Tracker,
        result: FrameResult,
        position: Position,
        time: float,
        extras: Extras,
    ) -> None:
        """Write one frame; once this returns, the run can be resumed behind it."""
        name = f"{position.index:05d}.png"
        if not (self._state / "learnt.pt").is_file():
            _save(self._state / "learnt.pt", tracker.start_state())
        write_label_map(self.root / "masks" / name, result.labels)
        for k, number in enumerate(result.ids):
            if extras.scores:
                write_matte(self.root / "scores" / str(number) / name, result.scores[k])
            if extras.mattes:
                write_matte(self.root / "mattes" / str(number) / name, matte(result, k))
        record = {
            "index": position.index,
            "time": round(time, 6),
            "presence": [round(p, 4) for p in result.presence],
            "timings": {k: round(v, 5) for k, v in result.timings.items()},
        }
        with (self._state / "frames.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")
        _save(
            self._state / "frame.pt",
            {
                "index": position.index,
                "direction": position.direction,
                "tracker": tracker.state(),
            },
        )

    def load_state(self, tracker: Tracker) -> Position:
        """Put the tracker where the interrupted run stood, and return its last finished frame.

        Raises:
            InputError: the state cannot be read, or another version of vostrack wrote it.
        """
        try:
            learnt = torch.load(self._state / "learnt.pt", weights_only=True, map_location="cpu")
            last = torch.load(self._state / "frame.pt", weights_only=True, map_location="cpu")
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise self._unusable(f"it cannot be read ({type(error).__name__})") from None
        try:
            tracker.load_state(learnt, last["tracker"])
        except InputError as error:
            raise self._unusable(str(error)) from None
        return Position(last["index"], last["direction"])

    def _unusable(self, reason: str) -> InputError:
        return InputError(
            f"resume: the state in {self._state} cannot be used: {reason}; run again with "
            "--overwrite in place of --resume"
        )

    def frames(self) -> list[dict[str, Any]]:
        """Return the record of each finished frame, in ascending order."""
        path = self._state / "frames.jsonl"
        if not path.is_file():
            return []
        records = {}
        for line in path.read_text().splitlines():
            # A kill may leave half a line; its frame is then tracked again.
            with contextlib.suppress(json.JSONDecodeError):
                record = json.loads(line)
                records[record["index"]] = record
        return [records[index] for index in sorted(records) if self.mask(index).is_file()]

    def mask(self, index: int) -> Path:
        """Return the path of a frame's label map."""
        return self.root / "masks" / f"{index:05d}.png"

    def write_run(self, content: Mapping[str, Any]) -> None:
        """Write ``run.json``."""
        _write_json(self.run_json, content)

    def finish(self) -> None:
        """Remove what only resuming needed."""
        shutil.rmtree(self._state)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")


def _save(path: Path, content: Mapping[str, Any]) -> None:
    with atomic_path(path) as temporary:
        torch.save(dict(content), temporary)
