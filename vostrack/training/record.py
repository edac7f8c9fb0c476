"""What a training writes down of every step: JSON lines and, where asked for, TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from vostrack.errors import InputError
from vostrack.files import atomic_path, parse_json
from vostrack.training.folder import CURVES, LOG

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

__all__ = ["Record"]


class Record:
    """``log.jsonl`` and ``tensorboard/`` in a folder, as a context that closes them."""

    def __init__(self, folder: Path, first: int, *, tensorboard: bool, enabled: bool) -> None:
        """Prepare both for what follows step ``first``.

        Nothing is written before the first step is done: many a training ends with an error there.
        Then the later lines of an interrupted run are dropped.

        Args:
            folder: made where absent.
            first: steps done.
            tensorboard: write event files too.
            enabled: False writes nothing, in the processes that only compute.

        Raises:
            InputError: TensorBoard is not installed, or a file lies where its folder goes.
        """
        self._path, self._first, self._enabled = folder / LOG, first, enabled
        self._log: TextIO | None = None
        self._curves: SummaryWriter | None = None
        self._tensorboard = folder / "tensorboard" if tensorboard else None
        if self._tensorboard is not None:
            _check_tensorboard(self._tensorboard)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Write the numbers of the step.

        Raises:
            OSError: the log cannot be written, for want of room or otherwise.
        """
        if not self._enabled:
            return
        rounded = {k: float(f"{v:.6g}") for k, v in values.items()}
        try:
            log = self._log or self._open()
            log.write(json.dumps({"step": step, **rounded}) + "\n")
            log.flush()
        except OSError as error:
            raise _unwritable(self._path, error) from None
        if self._curves is not None:
            for name, value in values.items():
                self._curves.add_scalar(name, value, step)

    def _open(self) -> TextIO:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        _cut(self._path, self._first)
        self._log = self._path.open("a", encoding="utf-8")
        if self._tensorboard is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._curves = SummaryWriter(str(self._tensorboard), purge_step=self._first + 1)
        return self._log

    def add_validation(self, step: int, figures: Mapping[str, float]) -> None:
        """Write the figures of a validation to TensorBoard; ``write_curves`` has them in JSON."""
        if self._curves is not None:
            for name, value in figures.items():
                self._curves.add_scalar(f"validation/{name}", value, step)

    def write_curves(self, validation: Sequence[Mapping[str, Any]]) -> None:
        """Write ``curves.json``: the log as one list per number, and the validations.

        Args:
            validation: ``step`` and the figures of each.

        Raises:
            OSError: it cannot be written, for want of room or otherwise.
        """
        if self._log is None:
            return
        curves: dict[str, list[float | None]] = {}
        lines = [json.loads(line) for line in self._path.read_text(encoding="utf-8").splitlines()]
        names = dict.fromkeys(name for line in lines for name in line)
        for name in names:
            curves[name] = [line.get(name) for line in lines]
        content = {"training": curves, "validation": [dict(entry) for entry in validation]}
        path = self._path.with_name(CURVES)
        try:
            with atomic_path(path) as partial:
                partial.write_text(json.dumps(content), encoding="utf-8")
        except OSError as error:
            raise _unwritable(path, error) from None

    def __enter__(self) -> Record:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the files."""
        if self._log is not None:
            with suppress(OSError):  # each line was written out; what failed has been said
                self._log.close()
        if self._curves is not None:
            self._curves.close()


def _unwritable(path: Path, error: OSError) -> OSError:
    return OSError(f"{path} cannot be written ({error}); make room, and give the same command")


def _check_tensorboard(folder: Path) -> None:
    try:
        import torch.utils.tensorboard  # noqa: F401 - whether it is there
    except ImportError:
        raise InputError(
            "tensorboard: asked for, but not installed; pip install 'vostrack[train]', or leave "
            "out `tensorboard=True` (log.jsonl has the same numbers)"
        ) from None
    if folder.exists() and not folder.is_dir():
        raise InputError(
            f"tensorboard: {folder} is a file, expected a folder; move it away, or leave out "
            "`tensorboard=True` (log.jsonl has the same numbers)"
        )


def _cut(path: Path, first: int) -> None:
    """Keep the lines up to step ``first``; what is no line of a log is dropped, too."""
    if not path.is_file():
        return
    kept = []
    # What a crash left behind the last line may be any bytes.
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            if parse_json(line)["step"] <= first:
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):
            continue
    with atomic_path(path) as partial:
        partial.write_text("".join(kept), encoding="utf-8")
