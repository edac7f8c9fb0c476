"""Progress of the command line, on standard error: bars on a terminal, lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from vostrack.progress import ProgressBar, open_progress, print_progress

__all__ = ["ClipProgress", "ShowStep", "show_training"]


class ShowStep(Protocol):
    """Moves a bar."""

    def __call__(self, done: int, loss: float | None = None) -> None:
        """Show how much is done, and the loss where there is one."""
        ...


@contextmanager
def show_training(
    total: int, unit: str, *, quiet: bool = False, decimals: int = 3
) -> Iterator[ShowStep]:
    """Show the progress of a training, in the first of its processes only.

    Args:
        total: where the bar ends.
        unit: of what it counts.
        quiet: show nothing.
        decimals: of the loss.
    """
    from vostrack.training.processes import is_first_process

    silent = quiet or not is_first_process()
    with open_progress(total, unit, "training", quiet=silent) as bar:

        def show(done: int, loss: float | None = None) -> None:
            if loss is not None:
                bar.set_postfix(f"loss {loss:.{decimals}f}")
            bar.update(done - bar.n)

        yield show


class ClipProgress:
    """Progress of fine-tuning and tracking, with the time left. Implements ``Observer``."""

    def __init__(self, *, enabled: bool = True) -> None:
        self._hidden = not enabled
        self._bar: ProgressBar | None = None
        self._name = ""
        self._tracking = "tracking"

    def __enter__(self) -> ClipProgress:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the bar that is open."""
        self._close()

    def finetuning(self, model: str, done: int, total: int) -> None:
        """Show a fine-tuning step."""
        self._show(f"fine-tuning {model}", done, total, "step")

    def first_pass(self, done: int, total: int, name: str) -> None:
        """Show a frame of the first of two passes."""
        self._tracking = "second pass"
        self._show("first pass", done, total, "frame", name)

    def frame(self, done: int, total: int | None, name: str) -> None:
        """Show a finished frame and its name."""
        self._show(self._tracking, done, total, "frame", name)

    def writing(self, what: str) -> None:
        """Show what is written at the end."""
        self._close()
        if not self._hidden:
            print_progress(f"writing {what}")

    def _show(self, name: str, done: int, total: int | None, unit: str, last: str = "") -> None:
        if name != self._name or self._bar is None:
            self._close()
            self._name = name
            self._bar = open_progress(
                total, unit, name, initial=max(done - 1, 0), quiet=self._hidden
            )
        if last:
            self._bar.set_postfix(last)
        self._bar.update(done - self._bar.n)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
