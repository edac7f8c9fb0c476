"""``vostrack train target``: the network behind the target models."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Literal

from vostrack.cli.train_command import DavisSet, MixedPrecisionTrainCommand

__all__ = ["TrainTargetCommand"]


@dataclass(frozen=True, kw_only=True)
class TrainTargetCommand(MixedPrecisionTrainCommand, DavisSet):
    """Train the target network on a DAVIS training set.

    Example: vostrack train target --root DAVIS --output runs/target

    Clips of three frames around one object, with objects of other videos pasted in; the first
    stages of the backbone stay as they are. Ctrl-C is safe: the same command goes on from the last
    checkpoint. Several GPUs: torchrun --nproc-per-node 4 --no-python vostrack train target ...

    The result, target.safetensors, goes to vostrack track --weights.
    """

    year: Literal[2016, 2017] = 2017
    """Which DAVIS list and annotations."""

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

    def run(self) -> int:
        """Train to the end, and return 0."""
        from vostrack.models.weights import initialise_target_net, save_target_net
        from vostrack.online_finetune.target.clip_samples import ClipConfig, ClipSamples
        from vostrack.online_finetune.target.recipe import TargetRecipe, TargetTraining
        from vostrack.training.loop import train
        from vostrack.training.processes import is_first_process, training_device

        config = replace(self.loop(), warmup=100, clip_norm=2.0, checkpoint_every=100)
        recipe = TargetRecipe(batch=self.batch, learning_rate=self.learning_rate)
        clips = ClipConfig(side=self.side)
        samples = ClipSamples(self.sequences(self.year), clips)
        network = initialise_target_net(self.backbone, self.weights, seed=self.seed)
        network = network.to(training_device(self.device))
        with self.progress() as show:
            train(
                network,
                TargetTraining(network, samples, recipe),
                config,
                self.output,
                settings={**asdict(recipe), **asdict(clips)},
                on_step=show,
            )
        if is_first_process():
            path = self.output / "target.safetensors"
            save_target_net(network, path, half=True)
            if not self.quiet:
                print(f"trained on {len(samples)} videos: {path}")
        return 0
