"""``vostrack train target``: the network behind the target models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

__all__ = ["TrainTargetCommand"]


@dataclass(frozen=True)
class TrainTargetCommand:
    """Train the target network on a DAVIS training set.

    Example: vostrack train target --root DAVIS --output runs/target

    Clips of three frames around one object, with objects of other videos pasted in; the first
    stages of the backbone stay as they are. Ctrl-C is safe: the same command goes on from the last
    checkpoint. Several GPUs: torchrun --nproc-per-node 4 --no-python vostrack train target ...

    The result, target.safetensors, goes to vostrack track --weights.
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

    weights: str = "imagenet"
    """Initial weights: imagenet, none, a backbone's file, or a target network to go on from."""

    steps: int = 2200
    """Optimisation steps."""

    batch: int = 5
    """Clips per step and process."""

    side: int = 320
    """Side of the square windows, pixels."""

    learning_rate: float = 8e-4
    """Of the decoder, at the peak."""

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
        from dataclasses import asdict

        from tqdm import tqdm

        from vostrack.datasets import open_davis
        from vostrack.models.weights import initialise_target_net, save_target_net
        from vostrack.online_finetune.clip_samples import ClipConfig, ClipSamples
        from vostrack.online_finetune.target_recipe import TargetRecipe, TargetTraining
        from vostrack.training.loop import LoopConfig, train
        from vostrack.training.processes import is_first_process, training_device

        sequences = open_davis(self.root, year=self.year, subset=self.subset)
        kept = [sequence for sequence in sequences if sequence.name not in self.leave_out]
        samples = ClipSamples(kept, ClipConfig(side=self.side))
        network = initialise_target_net(self.backbone, self.weights, seed=self.seed)
        network = network.to(training_device(self.device))
        recipe = TargetRecipe(batch=self.batch, learning_rate=self.learning_rate)
        config = LoopConfig(
            steps=self.steps,
            warmup=100,
            clip_norm=2.0,
            seed=self.seed,
            checkpoint_every=100,
            precision=self.precision,
            tensorboard=self.tensorboard,
        )
        silent = self.quiet or not is_first_process()
        with tqdm(total=self.steps, unit="step", disable=silent or None) as bar:

            def show(step: int, loss: float) -> None:
                bar.update(step - bar.n)
                bar.set_postfix_str(f"loss {loss:.3f}")

            train(
                network,
                TargetTraining(network, samples, recipe),
                config,
                self.output,
                settings={**asdict(recipe), **asdict(samples.config)},
                on_step=show,
            )
        if is_first_process():
            path = self.output / "target.safetensors"
            save_target_net(network, path, half=True)
            if not self.quiet:
                print(f"trained on {len(samples)} videos: {path}")
        return 0
