"""What the training commands share: flags, the loop's config, the progress bar and the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import tyro

from vostrack.errors import InputError
from vostrack.files import real_path

if TYPE_CHECKING:
    from torch import nn

    from vostrack.cli.progress import ShowStep
    from vostrack.datasets import VideoSequence
    from vostrack.training.loop import LoopConfig, Recipe

__all__ = [
    "Ahead",
    "Batch",
    "DavisSet",
    "LearningRate",
    "MixedPrecisionTrainCommand",
    "OptionalYear",
    "Side",
    "Steps",
    "Subset",
    "TrainCommand",
    "Year",
    "check_effect",
]

# The flags that several commands have, each with its own default.
Steps = Annotated[int, tyro.conf.arg(help="Optimisation steps.")]
Batch = Annotated[int, tyro.conf.arg(help="Crops, images or scenes per step and process.")]
Side = Annotated[int, tyro.conf.arg(help="Side of the square crops or scenes, pixels.")]
LearningRate = Annotated[float, tyro.conf.arg(help="Peak learning rate.")]
Ahead = Annotated[
    int, tyro.conf.arg(help="Batches drawn ahead, each in its own thread; a GPU needs 4 or more.")
]
Subset = Annotated[str, tyro.conf.arg(name="set", help="Which list of the data set.")]
Year = Annotated[Literal[2016, 2017], tyro.conf.arg(help="Which DAVIS list and annotations.")]
# Of the commands that need no DAVIS.
OptionalYear = Annotated[
    Literal[2016, 2017] | None,
    tyro.conf.arg(help="Which DAVIS list and annotations; 2017 if you don't say."),
]


def check_effect(flag: str, *, given: bool, there: bool, needs: str) -> None:
    """Refuse a flag that would be ignored.

    Args:
        flag: its name, such as ``--photo-share``.
        given: whether it is given.
        there: whether what it needs is there.
        needs: what it needs and how to give that, such as ``photographs; give --photos``.

    Raises:
        InputError: it is given without that.
    """
    if given and not there:
        raise InputError(f"{flag}: it has no effect without {needs}")


@dataclass(frozen=True, kw_only=True)
class TrainCommand:
    """The flags of every training."""

    renamed: ClassVar[Mapping[str, str]] = {
        "--crop": "--side",
        "--rate": "--learning-rate",
        "--leave-out": "--exclude",
        "--workers": "--ahead",
        "--trunk": "--backbone",
    }

    free: ClassVar[frozenset[str]] = frozenset({"output", "device", "verbose", "quiet"})
    """Names of the flags that may change when a training goes on."""

    results: ClassVar[tuple[str, ...]] = ()
    """Names of the files that are written into ``output`` at the end."""

    written: ClassVar[frozenset[str]] = frozenset({"output", "pool_folder"})
    """Names of the flags whose folders are written to, not read."""

    output: Path
    """Folder for the checkpoint, the log and the trained weights."""

    steps: Steps

    seed: int = 0
    """Seed of every random choice."""

    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""

    tensorboard: bool = False
    """Also write curves for TensorBoard into OUTPUT/tensorboard."""

    verbose: bool = False
    """Log more."""

    quiet: bool = False
    """Show no progress bar and no report."""

    def run(self) -> int:
        """Train to the end, and return 0; no other training writes to ``output`` meanwhile.

        Raises:
            InputError: another one is writing there, ``output`` is no folder, is one that is read,
                or holds what would be replaced, or the input cannot be used.
        """
        from vostrack.datasets.fingerprint import show_reading
        from vostrack.training.folder import check_folder_unused, training_folder
        from vostrack.training.processes import is_first_process

        with training_folder(self.output):
            for name, path in self.inputs():
                if real_path(path) == real_path(self.output):
                    raise InputError(
                        f"output: {self.output} is the folder of `{name}`, which is read; give "
                        "another folder as `output`"
                    )
            check_folder_unused(self.output, self.results)
            with show_reading(quiet=self.quiet or not is_first_process()):
                self.execute()
        return 0

    def inputs(self) -> Iterator[tuple[str, Path]]:
        """Return the folders and files that are read, each with its flag's parameter."""
        for name, value in vars(self).items():
            for path in value if isinstance(value, tuple) else (value,):
                if isinstance(path, Path) and name not in self.written:
                    yield name, path

    @classmethod
    def command_name(cls) -> str:
        """Return what follows ``vostrack`` on the command line, such as "train siseg"."""
        from vostrack.cli.commands import COMMANDS

        group = COMMANDS["train"]
        assert isinstance(group, Mapping)
        names = [f"train {name}" for name, entry in group.items() if entry.name == cls.__name__]
        return names[0] if names else cls.__name__

    def execute(self) -> None:
        """Train to the end, in a folder that this training has for itself."""
        raise NotImplementedError

    def agreed(
        self,
        loop: LoopConfig,
        settings: Mapping[str, Any],
        content: Mapping[str, object] | None = None,
    ) -> dict[str, Any]:
        """Return what a checkpoint must agree with, besides the loop, to be continued.

        Args:
            loop: how the loop runs. Flags with the name of one of its fields are left to it, and
                so are flags with the name of a setting.
            settings: the options of the recipe, with their defaults.
            content: see ``vostrack.cli.given_flags``.
        """
        from vostrack.cli.given_flags import given_flags
        from vostrack.training.agreement import COMMAND, GIVEN, flattened

        known = {name.rpartition(".")[2] for name in flattened(settings)}
        known |= vars(loop).keys() | self.free
        given = given_flags(self, known, content or {})
        return {**settings, COMMAND: self.command_name(), GIVEN: given}

    def check(self, loop: LoopConfig, settings: Mapping[str, Any]) -> None:
        """Refuse a checkpoint of another training before much is computed for this one.

        Args:
            loop: how the loop runs.
            settings: see ``agreed``.
        """
        from vostrack.training.checkpoint import check_folder
        from vostrack.training.processes import training_device

        check_folder(self.output, loop, settings, training_device(self.device))

    def loop(self, **fixed: Any) -> LoopConfig:
        """Return the config of the loop.

        Args:
            fixed: fields that are not flags of this command; others have the loop's defaults.
        """
        from vostrack.training.loop import LoopConfig

        return LoopConfig(self.steps, seed=self.seed, tensorboard=self.tensorboard, **fixed)

    def train(
        self,
        network: nn.Module,
        training: Recipe,
        loop: LoopConfig,
        settings: Mapping[str, Any],
        *,
        decimals: int = 3,
    ) -> bool:
        """Train with a progress bar, continuing from a checkpoint in ``output``.

        Args:
            network: what the checkpoint holds.
            training: draws the batches and computes the losses.
            loop: how the loop runs.
            settings: what a checkpoint must agree with to be continued; see ``agreed``.
            decimals: of the loss in the progress bar.

        Returns:
            Whether this process is the one that writes the result.
        """
        from vostrack.training.loop import train
        from vostrack.training.processes import is_first_process

        with self.progress(decimals=decimals) as show:
            train(network, training, loop, self.output, settings=settings, on_step=show)
        return is_first_process()

    def report(self, text: str) -> None:
        """Print a line, unless ``quiet``."""
        if not self.quiet:
            print(text)

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

    def loop(self, **fixed: Any) -> LoopConfig:
        """Return the config of the loop; see ``TrainCommand.loop``."""
        return TrainCommand.loop(self, precision=self.precision, **fixed)


@dataclass(frozen=True, kw_only=True)
class DavisSet:
    """The flags that choose sequences of a data set in the layout of DAVIS."""

    root: Path
    """Folder with ImageSets, JPEGImages and Annotations."""

    subset: Subset = "train"

    exclude: tuple[str, ...] = ()
    """Sequences that are held out for evaluation."""

    def sequences(self, year: int) -> list[VideoSequence]:
        """Open the sequences that are not excluded.

        Raises:
            InputError: an excluded name is none of the sequences, or none is left.
        """
        from vostrack.cli.excluded_videos import check_excluded, without_excluded
        from vostrack.datasets import open_davis

        sequences = list(open_davis(self.root, year=year, subset=self.subset))
        check_excluded(self.exclude, [sequence.name for sequence in sequences])
        return without_excluded(sequences, self.exclude)

    def held_out(self, year: int) -> list[VideoSequence]:
        """Open the excluded sequences, to judge on.

        Raises:
            InputError: none is excluded.
        """
        from vostrack.cli.excluded_videos import held_out_videos
        from vostrack.datasets import open_davis

        sequences = list(open_davis(self.root, year=year, subset=self.subset))
        return held_out_videos(sequences, self.exclude)
