"""What trainings share that take hours: a budget, mean weights, checkpoints and judgements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import tyro

from vostrack.checks import check_at_least
from vostrack.cli.train_command import Ahead, MixedPrecisionTrainCommand, TrainCommand
from vostrack.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from vostrack.training.loop import LoopConfig, Recipe
    from vostrack.training.validation import Validation

__all__ = ["Accumulate", "Average", "LongTrainCommand"]

Accumulate = Annotated[
    int, tyro.conf.arg(help="Batches per step, whose gradients are averaged; in the memory of one.")
]
Average = Annotated[
    float,
    tyro.conf.arg(
        help="Decay of the mean of weights, which is what is judged and saved, such as 0.99; 0 for "
        "the newest weights."
    ),
]


@dataclass(frozen=True, kw_only=True)
class LongTrainCommand(MixedPrecisionTrainCommand):
    """The flags of a training that may take hours."""

    free: ClassVar[frozenset[str]] = TrainCommand.free | {"hours", "validate_every"}

    hours: float | None = None
    """Stop after so long, with a checkpoint to go on from."""

    accumulate: Accumulate = 1

    average: Average = 0.0

    keep_every: int = 0
    """Steps between checkpoints that are kept for good; 0 keeps the newest only."""

    validate_every: int = 0
    """Steps between judgements on what was held out; 0 for none. best.safetensors is the best so
    far."""

    ahead: Ahead = 0

    def loop(self, **fixed: Any) -> LoopConfig:
        """Return the config of the loop; see ``TrainCommand.loop``."""
        check_at_least(self, {"validate_every": 0})
        if self.hours is not None and not self.hours > 0:  # before data are read
            raise InputError(f"hours: expected over 0, got {self.hours}")
        return super().loop(
            accumulate=self.accumulate,
            average=self.average or None,
            keep_every=self.keep_every,
            ahead=self.ahead,
            **fixed,
        )

    def validation(
        self,
        judge: Callable[[nn.Module], Mapping[str, float]],
        save: Callable[[nn.Module, Path], None],
        figure: str,
    ) -> Validation:
        """Return how a network is judged every ``validate_every`` steps.

        Args:
            judge: gives figures of a network by name.
            save: writes a network to a file.
            figure: name of the figure that decides which network is the best.
        """
        from vostrack.training.validation import Validation

        def keep(network: nn.Module) -> None:
            save(network, self.best)

        return Validation(self.validate_every, judge, keep, figure)

    @property
    def best(self) -> Path:
        """The file of the best network so far."""
        from vostrack.training.folder import BEST

        return self.output / BEST

    def train_judged(
        self,
        network: nn.Module,
        training: Recipe,
        loop: LoopConfig,
        settings: Mapping[str, Any],
        validation: Validation | None,
    ) -> int | None:
        """Train with a progress bar until the last step or as long as allowed.

        Args:
            network: what the checkpoint holds.
            training: draws the batches and computes the losses.
            loop: how the loop runs.
            settings: what a checkpoint must agree with to be continued; see ``agreed``.
            validation: how the network is judged on the way.

        Returns:
            The steps done in all; None where another process writes the result.

        Raises:
            InputError: a judgement was asked for, but the training had ended without one.
        """
        from vostrack.training.loop import train
        from vostrack.training.processes import is_first_process

        with self.progress() as show:
            done = train(
                network,
                training,
                loop,
                self.output,
                settings=settings,
                hours=self.hours,
                validation=validation,
                on_step=show,
            )
        if not is_first_process():
            return None
        if self.validate_every and done >= self.steps and not self.best.is_file():
            raise InputError(
                f"--validate-every: the training in {self.output} had ended, so that nothing "
                "was judged; give another --output, or more --steps"
            )
        return done
