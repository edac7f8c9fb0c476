"""What the training commands have in common: flags, the loop's settings and the progress bar."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from vostrack.cli.progress import ShowStep
    from vostrack.datasets import VideoSequence
    from vostrack.training.loop import LoopConfig

__all__ = ["DavisSet", "MixedPrecisionTrainCommand", "TrainCommand"]


@dataclass(frozen=True, kw_only=True)
class TrainCommand:
    """The flags of every training."""

    output: Path
    """Folder for the checkpoint, the log and the network."""

    steps: int
    """Optimisation steps."""

    seed: int = 0
    """Seed of every random choice."""

    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""

    tensorboard: bool = False
    """Write curves for TensorBoard into OUTPUT/tensorboard, too."""

    verbose: bool = False
    """Log more."""

    quiet: bool = False
    """No progress bar."""

    def loop(self) -> LoopConfig:
        """Return the settings of the loop that are flags; the others are the loop's defaults."""
        from vostrack.training.loop import LoopConfig

        return LoopConfig(self.steps, seed=self.seed, tensorboard=self.tensorboard)

    def progress(
        self, total: int | None = None, unit: str = "step", *, decimals: int = 3
    ) -> AbstractContextManager[ShowStep]:
        """Show a bar while the context lasts; it gives the function that moves it.

        Args:
            total: where the bar ends; ``steps`` by default.
            unit: of what it counts.
            decimals: of the loss.
        """
        from vostrack.cli.progress import show_training

        return show_training(
            self.steps if total is None else total, unit, quiet=self.quiet, decimals=decimals
        )


@dataclass(frozen=True, kw_only=True)
class MixedPrecisionTrainCommand(TrainCommand):
    """The flags of a training whose forward pass may run in bfloat16."""

    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the forward pass. auto: bf16 where the hardware has it."""

    def loop(self) -> LoopConfig:
        """Return the settings of the loop that are flags; the others are the loop's defaults."""
        return replace(TrainCommand.loop(self), precision=self.precision)


@dataclass(frozen=True, kw_only=True)
class DavisSet:
    """The flags that choose sequences of a data set in the layout of DAVIS."""

    root: Path
    """Folder with ImageSets, JPEGImages and Annotations."""

    subset: Annotated[str, tyro.conf.arg(name="set")] = "train"
    """Which subset."""

    leave_out: tuple[str, ...] = ()
    """Sequences that are kept back, to judge the result on."""

    def sequences(self, year: int) -> list[VideoSequence]:
        """Open the sequences that are not left out."""
        from vostrack.datasets import open_davis

        sequences = open_davis(self.root, year=year, subset=self.subset)
        return [sequence for sequence in sequences if sequence.name not in self.leave_out]
