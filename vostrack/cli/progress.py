"""Progress bars of the command line, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from tqdm import tqdm

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

    Silent where standard error is no terminal.

    Args:
        total: where the bar ends.
        unit: of what it counts.
        quiet: show nothing.
        decimals: of the loss.
    """
    from vostrack.training.processes import is_first_process

    silent = quiet or not is_first_process()
    with tqdm(total=total, unit=unit, disable=silent or None) as bar:

        def show(done: int, loss: float | None = None) -> None:
            bar.update(done - bar.n)
            if loss is not None:
                bar.set_postfix_str(f"loss {loss:.{decimals}f}")

        yield show


class ClipProgress:
    """Bars for fine-tuning and tracking, with rate and time left. Implements ``Observer``.

    Silent where standard error is no terminal, so that logs stay readable.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        self._hidden = not (enabled and sys.stderr.isatty())
        self._bar: tqdm[Any] | None = None
        self._name = ""

    def __enter__(self) -> ClipProgress:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the bar that is open."""
        self._close()

    def finetuning(self, model: str, done: int, total: int) -> None:
        """Show a fine-tuning step."""
        self._show(f"fine-tuning {model}", done, total, "step")

    def frame(self, done: int, total: int | None) -> None:
        """Show a finished frame."""
        self._show("tracking", done, total, "frame")

    def writing(self, what: str) -> None:
        """Show what is written at the end."""
        self._close()
        if not self._hidden:
            print(f"writing {what}", file=sys.stderr)

    def _show(self, name: str, done: int, total: int | None, unit: str) -> None:
        if name != self._name or self._bar is None:
            self._close()
            self._name = name
            self._bar = tqdm(
                total=total, desc=name, unit=unit, disable=self._hidden, initial=max(done - 1, 0)
            )
        self._bar.update(done - self._bar.n)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
