"""``vostrack train foreground``: the generic model that every video starts from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

__all__ = ["TrainForegroundCommand"]


@dataclass(frozen=True)
class TrainForegroundCommand:
    """Train the generic foreground model on a DAVIS training set.

    Example: vostrack train foreground --root DAVIS --output runs/foreground

    Ctrl-C is safe: the same command goes on from the last checkpoint. The result,
    foreground.safetensors, goes to vostrack track --weights. Several GPUs:
    torchrun --nproc-per-node 4 --no-python vostrack train foreground ...; --batch is that of each
    process.
    """

    root: Path
    """Folder with ImageSets, JPEGImages and Annotations."""

    output: Path
    """Folder for the checkpoint, the log and the network."""

    year: Literal[2016, 2017] = 2017
    """Which DAVIS list and annotations."""

    subset: Annotated[str, tyro.conf.arg(name="set")] = "train"
    """Which subset."""

    leave_out: tuple[str, ...] = ()
    """Sequences that are kept back, to judge the result on."""

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

    seed: int = 0
    """Seed of every random choice."""

    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""

    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the forward pass. auto: bf16 where the hardware has it."""

    tensorboard: bool = False
    """Write curves for TensorBoard into OUTPUT/tensorboard, too."""

    verbose: bool = False
    """Log more."""

    quiet: bool = False
    """No progress bar."""

    def run(self) -> int:
        """Train to the end, and return 0."""
        from tqdm import tqdm

        from vostrack.datasets import open_davis
        from vostrack.models.foreground import NetworkConfig
        from vostrack.models.weights import initialise, save_network
        from vostrack.training.foreground import ForegroundRecipe, train_foreground
        from vostrack.training.processes import is_first_process, training_device
        from vostrack.training.samples import ForegroundSamples

        sequences = open_davis(self.root, year=self.year, subset=self.subset)
        samples = ForegroundSamples(s for s in sequences if s.name not in self.leave_out)
        config = NetworkConfig(self.backbone, self.strides, self.head, self.width)
        network = initialise(config, self.weights, seed=self.seed).to(training_device(self.device))
        recipe = ForegroundRecipe(
            steps=self.steps, batch=self.batch, crop=self.crop, seed=self.seed
        )
        silent = self.quiet or not is_first_process()
        with tqdm(total=self.steps, unit="step", disable=silent or None) as bar:

            def show(step: int, loss: float) -> None:
                bar.update(step - bar.n)
                bar.set_postfix_str(f"loss {loss:.3f}")

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
