"""Progress bars of the command line, on standard error."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

from tqdm import tqdm

__all__ = ["ClipProgress"]


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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
