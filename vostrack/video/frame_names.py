"""What the frames of a source are called: by the numbers or names of their files, or by a count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vostrack.file_order import varying_digits

__all__ = ["FrameNames", "Names"]

Names = Literal["source", "counter"]
"""Where the names of frames come from."""


@dataclass(frozen=True)
class FrameNames:
    """The names of the frames of a source.

    A frame has a position, which counts from 0, a name, which result files carry, and usually a
    number, by which the user asks for it.

    Attributes:
        names: the own name of each frame, without suffix; None where frames are counted from 0.
        numbers: the own number of each frame; None where frames have no numbers of their own.
        files: the name of each frame's image file; None where frames are counted from 0.
    """

    names: tuple[str, ...] | None = None
    numbers: tuple[int, ...] | None = None
    files: tuple[str, ...] | None = None

    @classmethod
    def of_files(cls, paths: Sequence[Path]) -> FrameNames:
        """Return the names of an image sequence.

        Files that differ only in one number, such as ``shot.1001.png`` and ``shot.1002.png``, are
        called by that number, with its zeros: 1001, 1002. Other files are called by their stems.
        Where stems occur twice, frames are counted.
        """
        stems, files = [path.stem for path in paths], tuple(path.name for path in paths)
        digits = varying_digits(stems)
        if digits is not None:
            numbers = tuple(map(int, digits))
            if len(set(numbers)) == len(numbers):
                return cls(tuple(digits), numbers, files)
        if len({stem.casefold() for stem in stems}) == len(stems):
            return cls(tuple(stems), files=files)
        return cls()

    def name(self, index: int) -> str:
        """Return the name of the frame at a position."""
        return f"{index:05d}" if self.names is None else self.names[index]

    def key(self, index: int) -> int | str:
        """Return the number of the frame at a position, or its name where it has no number."""
        if self.names is None:
            return index
        return self.names[index] if self.numbers is None else self.numbers[index]

    def position(self, number: int) -> int | None:
        """Return the position of the frame with a number; None if there is none.

        Frames without numbers of their own are counted from 0.
        """
        if self.numbers is None:
            return number
        return self.numbers.index(number) if number in self.numbers else None
