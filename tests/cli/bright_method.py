"""Methods of ``vostrack propose`` that find what is bright, and the command that runs them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.cli import main
from vostrack.errors import InputError
from vostrack.proposers.sources import ProposerSources
from vostrack.protocols import InstanceProposals


@dataclass(frozen=True)
class BrightOptions:
    """Options of the method made up here."""

    level: int = 128
    """A pixel this bright is an object's,
    0 to 255."""

    part: Literal["red", "blue"] = "red"
    """Which channel."""

    invert: bool = False
    """Dark ones instead."""

    weights: Path | None = None
    """A file, or none."""


class Bright:
    """One proposal: the bright pixels; the score is the share of the image."""

    def __init__(self, options: BrightOptions, sources: ProposerSources) -> None:
        self.options, self.sources = options, sources
        self.calls: list[FloatArray | None] = []

    def propose(self, frame: UInt8Array, foreground: FloatArray | None) -> InstanceProposals:
        self.calls.append(foreground)
        channel = frame[:, :, 0 if self.options.part == "red" else 2]
        mask = (channel >= self.options.level) != self.options.invert
        rows, columns = np.nonzero(mask)
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        return InstanceProposals(
            masks=mask[None],
            scores=np.array([mask.mean()], np.float32),
            labels=np.array([7]),
            boxes=np.array([box], np.float32),
        )


class Named(Bright):
    """Knows images by their name."""

    def propose_image(self, name: str, frame: UInt8Array) -> InstanceProposals:
        if name == "bad":
            raise InputError("no entry for bad")
        return self.propose(frame, np.full(frame.shape[:2], len(name), np.float32))


def picture(size: tuple[int, int], level: int = 200) -> UInt8Array:
    frame = np.zeros((*size, 3), np.uint8)
    frame[2:6, 3:10] = level
    return frame


def propose(method: str, *flags: object) -> int:
    return main(["propose", "--method", method, *map(str, flags)])
