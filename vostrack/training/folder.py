"""The folder of a training: one training at a time writes to it, and none over another's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from vostrack.errors import InputError
from vostrack.files import parse_json, real_path
from vostrack.output_folder import exclusive_folder
from vostrack.training.processes import is_first_process

__all__ = ["BEST", "CHECKPOINT", "CURVES", "LOG", "check_folder_unused", "training_folder"]

CHECKPOINT, CURVES, LOG = "checkpoint.pt", "curves.json", "log.jsonl"
"""What every training writes."""

BEST = "best.safetensors"
"""What a training writes that is judged on the way."""

# Numbers that each line of a log has.
_LOGGED = frozenset({"step", "loss", "gradient"})

# Those that the caller keeps: a command keeps its folder while the loop inside it asks again.
_KEPT: ContextVar[frozenset[Path]] = ContextVar("kept", default=frozenset())


@contextmanager
def training_folder(folder: Path) -> Iterator[None]:
    """Keep other trainings from writing to a folder while the block runs.

    Under ``torchrun``, the first process keeps it for all: the others write nothing there. A block
    inside another one for the same folder goes through.

    Args:
        folder: made where absent, with its parents, and removed again if the block leaves it empty.

    Raises:
        InputError: another process keeps it, or it is no folder.
    """
    place = real_path(folder)
    if not is_first_process() or place in _KEPT.get():
        yield
        return
    absent = [path for path in (place, *place.parents) if not path.exists()]
    token = _KEPT.set(_KEPT.get() | {place})
    try:
        with exclusive_folder(folder):
            yield
    finally:
        _KEPT.reset(token)
        with suppress(OSError):  # something lies in it
            for path in absent:
                path.rmdir()


def check_folder_unused(folder: Path, results: Iterable[str] = ()) -> None:
    """Refuse a folder where a training would replace what another one, or somebody, left there.

    A folder with a checkpoint is let through: the training that wrote it goes on. So is a log
    without anything else: its training was stopped before the first checkpoint.

    Args:
        folder: of the training; may be absent.
        results: names of the files that are written into it at the end.

    Raises:
        InputError: there are results, curves, checkpoints that were kept for good or somebody's own
            log, but no checkpoint to go on from; or a folder lies where a file goes.
    """
    written = [CHECKPOINT, CURVES, LOG, *dict.fromkeys([BEST, *results])]
    for name in written:
        if (folder / name).is_dir():
            raise InputError(
                f"output: {folder / name} is a folder, and a training writes a file there; give "
                "another folder as `output`"
            )
    if (folder / CHECKPOINT).exists():
        return
    found = [name for name in written if name != LOG and (folder / name).exists()]
    found += sorted(path.name for path in folder.glob("checkpoint-*.pt"))
    if (folder / LOG).exists() and (found or not _is_own_log(folder / LOG)):
        found.append(LOG)
    if found:
        raise InputError(
            f"output: {folder} holds {', '.join(found)}, which this training would replace, and no "
            f"{CHECKPOINT} to go on from; give another folder as `output`, or delete what is there"
        )


def _is_own_log(path: Path) -> bool:
    """Tell whether a log is empty, or begins as a training's own."""
    with path.open("rb") as file:
        first = file.readline()
    try:
        return not first or parse_json(first).keys() >= _LOGGED
    except (ValueError, AttributeError):
        return False
