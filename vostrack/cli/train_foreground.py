"""``vostrack train foreground``: the generic model that every video starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vostrack.cli.train_command import DavisSet, MixedPrecisionTrainCommand

__all__ = ["TrainForegroundCommand"]


@dataclass(frozen=True, kw_only=True)
class TrainForegroundCommand(MixedPrecisionTrainCommand, DavisSet):
    """Train the generic foreground model on a DAVIS training set.

    Example: vostrack train foreground --root DAVIS --output runs/foreground

    Ctrl-C is safe: the same command goes on from the last checkpoint. The result,
    foreground.safetensors, goes to vostrack track --weights. Several GPUs:
    torchrun --nproc-per-node 4 --no-python vostrack train foreground ...; --batch is that of each
    process.
    """

    year: Literal[2016, 2017] = 2017
    """Which DAVIS list and annotations."""

    backbone: Literal[
        "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "mobilenet_v2"
    ] = "resnet18"
    """Feature extractor."""

    head: Literal["fusion", "topdown"] = "topdown"
    """fusion: the paper's. topdown: finer edges for a small backbone."""

    strides: tuple[int, ...] = (4, 8, 16)
    """Backbone levels that the head sees (the paper: 8 16 32)."""

    width: int = 64
    """Channels of the head (the paper: 128)."""

    weights: str = "imagenet"
    """Initial weights: imagenet, none, or a file."""

    steps: int = 1400
    """Optimisation steps."""

    batch: int = 4
    """Crops per step."""

    crop: int = 320
    """Side of the square crops, pixels."""

    def run(self) -> int:
        """Train to the end, and return 0."""
        from vostrack.models.foreground import NetworkConfig
        from vostrack.models.weights import initialise, save_network
        from vostrack.training.foreground import ForegroundRecipe, train_foreground
        from vostrack.training.processes import is_first_process, training_device
        from vostrack.training.samples import ForegroundSamples

        recipe = ForegroundRecipe(
            steps=self.steps, batch=self.batch, crop=self.crop, seed=self.seed
        )
        config = NetworkConfig(self.backbone, self.strides, self.head, self.width)
        samples = ForegroundSamples(self.sequences(self.year))
        network = initialise(config, self.weights, seed=self.seed).to(training_device(self.device))
        with self.progress() as show:
            train_foreground(
                network,
                samples,
                recipe,
                self.output,
                precision=self.precision,
                tensorboard=self.tensorboard,
                on_step=show,
            )
        if is_first_process():
            path = self.output / "foreground.safetensors"
            save_network(network, path)
            if not self.quiet:
                print(f"trained on {len(samples)} frames: {path}")
        return 0
