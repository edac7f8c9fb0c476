"""The unit of work of a batch, a video to track, and its result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from vostrack.datasets.placed_objects import earlier_frames, place_objects
from vostrack.datasets.video_sequence import Semantics, VideoSequence
from vostrack.errors import InputError

__all__ = ["Job", "JobResult", "Option", "Worker", "dataset_jobs", "davis_jobs"]

Scalar = str | int | float | bool | None
Option = Scalar | Mapping[str, Scalar]


@dataclass(frozen=True)
class Job:
    """One video to track. It contains only paths and options, so it can be sent to other processes.

    Relative paths start from the folder that is the current one when ``run_jobs`` is called.

    Attributes:
        name: name of the sequence and of its result folder.
        frames: the T image files.
        first_mask: the mask of ``frames[0]``; None if the worker has to find the objects.
        output: destination of the result, a folder or a URL that fsspec supports. The worker always
            receives an empty local folder here.
        options: the settings that the result depends on; a result made with others is never
            taken for this job's.
        semantics: "binary" if all non-zero pixels of a mask are one object, or "ids".
        later_masks: (index into ``frames``, mask file) of frames where further objects first
            appear.
        starts: (id, index into ``frames``) of the frame in which each object is given, where the
            data set says so; the masks' other ids are then no objects. Empty: an object is given in
            the first mask that shows it.
        notes: one sentence for each thing that a reader of the result should know, such as an
            object that no mask shows. The result does not depend on them.
    """

    name: str
    frames: tuple[Path, ...]
    first_mask: Path | None
    output: str
    options: Mapping[str, Option] = field(default_factory=dict)
    semantics: Semantics = "ids"
    later_masks: tuple[tuple[int, Path], ...] = ()
    starts: tuple[tuple[int, int], ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the name, the frames and the options.

        Raises:
            InputError: the name is not a plain folder name, there is no frame, two frames have the
                same name, or the type of an option is not supported.
        """
        if not self.name or self.name != Path(self.name).name or self.name.startswith("."):
            raise InputError(
                f"job name {self.name!r}: expected a plain folder name without '/' or leading '.'"
            )
        names = self.frame_names
        if not names or len(set(names)) != len(names):
            raise InputError(
                f"job {self.name}: expected frames with distinct names, got {len(names)} frames "
                f"with {len(set(names))} names"
            )
        for key, value in self.options.items():
            values = value.values() if isinstance(value, Mapping) else (value,)
            for found in values:
                if not isinstance(found, Scalar):
                    raise InputError(
                        f"job {self.name}: option {key} is a {type(found).__name__}; expected "
                        "text, a number, True, False, None, or a mapping of those"
                    )

    def anchored(self) -> Job:
        """Return the job with absolute paths, for processes in other folders."""

        def absolute(path: Path) -> Path:
            return Path(path).absolute()

        return replace(
            self,
            frames=tuple(map(absolute, self.frames)),
            first_mask=None if self.first_mask is None else absolute(self.first_mask),
            output=str(absolute(self.folder)) if self.is_local else self.output,
            later_masks=tuple((index, absolute(path)) for index, path in self.later_masks),
        )

    @property
    def frame_names(self) -> tuple[str, ...]:
        """The T frame names without their suffix."""
        return tuple(path.stem for path in self.frames)

    @property
    def is_local(self) -> bool:
        """Whether the result goes to a folder of a file system, and not to an object store."""
        return "://" not in self.output

    @property
    def folder(self) -> Path:
        """``output`` as a path, for the worker."""
        return Path(self.output)

    @cached_property
    def inputs(self) -> dict[str, str]:
        """Hash of the bytes of the frames, of the masks, and of the files that options name.

        Raises:
            InputError: a mask cannot be read.
        """
        masks = [] if self.first_mask is None else [(0, self.first_mask)]
        given = [(index, _digest(path)) for index, path in (*masks, *self.later_masks)]
        return {
            "frames": _combined(_digest_or_none(path) for path in self.frames),
            "masks": _combined(given),
            "files of options": _combined(map(_digest_or_none, _files_in(self.options))),
        }

    @cached_property
    def fingerprint(self) -> str:
        """Hash (hexadecimal SHA-256) of all that the result depends on.

        That is the options, the names of the frames and the inputs.

        Raises:
            InputError: a mask cannot be read.
        """
        content = {
            "options": dict(self.options),
            "frames": self.frame_names,
            "semantics": self.semantics,
            "inputs": self.inputs,
        }
        starts = {"starts": self.starts} if self.starts else {}
        text = json.dumps({**content, **starts}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class JobResult:
    """The result of a job.

    Attributes:
        name: name of the job.
        frames: number of tracked frames.
        seconds: duration of the worker, without waiting.
        error: the reason of a failure on one line; None for success.
        details: the traceback of an unexpected error, or "".
        attempts: number of attempts in this run; 0 for a result kept from an earlier run.
        status: "done", "kept" or "failed".
        retryable: whether a retry may help, as after a lack of memory or of files.
        warnings: one sentence for each thing that a reader of the result should know.
    """

    name: str
    frames: int = 0
    seconds: float = 0.0
    error: str | None = None
    details: str = ""
    attempts: int = 1
    status: Literal["done", "kept", "failed"] = "done"
    retryable: bool = False
    warnings: tuple[str, ...] = ()


Worker = Callable[[Job], JobResult]
"""Tracks one video and writes a file ``<frame name>.*`` for every frame into ``job.folder``.

Other processes import it by name, so it must be a function at the top level of a module.
"""


def dataset_jobs(
    sequences: Iterable[VideoSequence],
    output: str | Path,
    options: Mapping[str, Option] | None = None,
    *,
    given: bool = True,
) -> list[Job]:
    """Create one job for each sequence of a data set.

    Frames before the first annotated one are left out, because no object is known there. An object
    that the mask of its first frame does not show starts in the first mask that does. Notes say so.

    Args:
        sequences: as ``open_dataset`` and the functions of the layouts return them.
        output: results folder or fsspec URL; each sequence gets a folder of its name in it.
        options: the tracker's settings.
        given: whether the worker may see the masks; if not, it finds the objects, from the first
            frame on.

    Raises:
        InputError: a sequence's name is no folder name.
    """
    # Absolute, because the processes of a cluster run in folders of their own.
    root = str(output).rstrip("/") if "://" in str(output) else str(Path(output).absolute())
    jobs = []
    for sequence in sequences:
        seq, notes = place_objects(sequence) if given else (sequence, ())
        earlier = earlier_frames(seq) if given else ""
        prompts = seq.prompts if given else ()
        start = prompts[0][0] if prompts else 0
        jobs.append(
            Job(
                name=seq.name,
                frames=tuple(path.absolute() for path in seq.frames[start:]),
                first_mask=prompts[0][1].absolute() if prompts else None,
                output=f"{root}/{seq.name}",
                options=dict(options or {}),
                semantics=seq.semantics,
                later_masks=tuple((index - start, path.absolute()) for index, path in prompts[1:]),
                # Where no object could be placed, the worker says so.
                starts=(_starts(seq, start) or _starts(sequence, start)) if given else (),
                notes=(*notes, earlier) if earlier else notes,
            )
        )
    return jobs


davis_jobs = dataset_jobs


def _starts(seq: VideoSequence, first: int) -> tuple[tuple[int, int], ...]:
    """Return the frame in which each object is given, counted from ``first``."""
    place = {name: index for index, name in enumerate(seq.frame_names)}
    return tuple((obj.id, place[obj.frames[0]] - first) for obj in seq.objects if obj.frames)


def _files_in(options: Mapping[str, Option]) -> Iterator[Path]:
    """Go through the options that are absolute paths of files, such as weights."""
    for name in sorted(options):
        option = options[name]
        for value in option.values() if isinstance(option, Mapping) else (option,):
            if isinstance(value, str) and Path(value).is_absolute() and Path(value).is_file():
                yield Path(value)


def _combined(parts: Iterable[object]) -> str:
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()


def _digest_or_none(path: Path) -> str | None:
    """Return the digest of a file; None where it cannot be read, as the worker will say."""
    try:
        return _digest(path)
    except InputError:
        return None


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"mask {path}: cannot be read ({error.strerror})") from error
