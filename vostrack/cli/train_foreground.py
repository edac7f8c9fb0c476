"""``vostrack train foreground``: the generic model that every video starts from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from vostrack.cli.long_training import LongTrainCommand
from vostrack.cli.train_command import (
    Batch,
    DavisSet,
    Side,
    Steps,
    Year,
    check_effect,
)
from vostrack.wording import counted

if TYPE_CHECKING:
    import torch
    from torch import nn

    from vostrack.models.foreground import NetworkConfig, SegmentationNet
    from vostrack.training.validation import Validation

__all__ = ["TrainForegroundCommand"]


@dataclass(frozen=True, kw_only=True)
class TrainForegroundCommand(LongTrainCommand, DavisSet):
    """Train the generic foreground model on a DAVIS training set.

    Example: vostrack train foreground --root DAVIS --output runs/foreground

    After Ctrl-C, the same command continues from the last checkpoint. The result is
    OUTPUT/foreground.safetensors, for vostrack track --weights. Several GPUs:
    torchrun --nproc-per-node 4 --no-python vostrack train foreground ...
    """

    results: ClassVar[tuple[str, ...]] = ("foreground.safetensors",)

    year: Year = 2017

    backbone: str | None = None
    """Feature extractor: resnet18 (which is taken if you name none), resnet34, resnet50, resnet101,
    resnet152, mobilenet_v2, or the name of an installed plug-in."""

    backbone_options: tuple[str, ...] = ()
    """Options of a plug-in's feature extractor, as KEY=VALUE."""

    head: Literal["fusion", "topdown"] = "topdown"
    """fusion: the paper's. topdown: finer edges for a small backbone."""

    strides: tuple[int, ...] = (4, 8, 16)
    """Backbone levels that the head reads (the paper: 8 16 32)."""

    width: int = 64
    """Channels of the head (the paper: 128)."""

    photos: Path | None = None
    """Folder of photographs with mattes (JPEGImages and Mattes), to learn more kinds of objects."""

    photo_share: float | None = None
    """Share of the crops that are of these photographs; a half if you don't say."""

    weights: str = "imagenet"
    """Initial weights: imagenet, none, target (the backbone of the shipped target network, with a
    new head), or a file, which may hold another target network."""

    keep_backbone: bool = False
    """Leave the backbone as its weights are; only the head learns."""

    semantic: bool = False
    """Give the head the features of a second, fixed backbone, too: the one of the shipped target
    network. It stays in the result."""

    steps: Steps = 1400

    batch: Batch = 4

    side: Side = 320

    def execute(self) -> None:
        """Train to the end, and write the network."""
        from vostrack.cli.backbone_options import backbone_options
        from vostrack.datasets.composites.matted_photos import clean_photos
        from vostrack.datasets.fingerprint import videos_fingerprint
        from vostrack.models.add_semantic_backbone import with_semantic_backbone
        from vostrack.models.backbone_weights import check_backbone, described
        from vostrack.models.foreground import NetworkConfig
        from vostrack.models.weights import load_semantic_backbone, save_network
        from vostrack.training.foreground import ForegroundRecipe, ForegroundTraining
        from vostrack.training.processes import training_device
        from vostrack.training.samples import ForegroundSamples, PhotoSamples

        loop = self.loop(warmup=50)
        check_effect(
            "--photo-share",
            given=self.photo_share is not None,
            there=self.photos is not None,
            needs="photographs; give --photos",
        )
        recipe = ForegroundRecipe(batch=self.batch, side=self.side)
        if self.photo_share is not None:
            recipe = replace(recipe, photo_share=self.photo_share)
        options = backbone_options(self.backbone, self.backbone_options)
        config = NetworkConfig(
            self.backbone or "resnet18",
            self.strides,
            self.head,
            self.width,
            backbone_options=options,
        )
        if self.keep_backbone:
            recipe = replace(recipe, learning_rate=0.0)
        sequences = self.sequences(self.year)
        samples = ForegroundSamples(sequences)
        photos = PhotoSamples(clean_photos(self.photos)) if self.photos else ()
        device = training_device(self.device)
        network = self._initialised(config, device)
        check_backbone(network.config, self.weights, self.backbone, options)
        network = network.to(device)
        if self.semantic:
            network = with_semantic_backbone(network, load_semantic_backbone())
        training = ForegroundTraining(network, samples, recipe, photos)
        parts = {f"network.{name}": value for name, value in described(network.config).items()}
        read = {"root": videos_fingerprint(sequences)}
        settings = self.agreed(loop, asdict(recipe) | parts | {"images": len(samples)}, read)
        done = self.train_judged(network, training, loop, settings, self._validation())
        if done is not None:
            path = self.output / self.results[0]
            save_network(network, path)
            shown = counted(len(samples), "frame")
            if photos:
                shown += f" and {counted(len(photos), 'photograph')}"
            self.report(f"{done} of {self.steps} steps, trained on {shown}: {path}")

    def _validation(self) -> Validation | None:
        """Return how the network is judged on the excluded sequences: mean IoU of whole frames."""
        if not self.validate_every:
            return None
        from vostrack.models.foreground import SegmentationNet
        from vostrack.models.weights import save_network
        from vostrack.training.held_out_images import judge_foreground
        from vostrack.training.samples import ForegroundSamples

        def save(network: nn.Module, path: Path) -> None:
            assert isinstance(network, SegmentationNet)
            save_network(network, path)

        held_out = ForegroundSamples(self.held_out(self.year))
        return self.validation(judge_foreground(held_out), save, "J")

    def _initialised(self, config: NetworkConfig, device: torch.device) -> SegmentationNet:
        """Return the network with the initial weights, on the CPU."""
        from vostrack.models.shared_backbone import on_target_backbone
        from vostrack.models.weights import holds_target_net, initialise, load_target_net

        if self.weights == "target":
            return on_target_backbone(config, load_target_net(), seed=self.seed)
        if holds_target_net(self.weights):
            target = load_target_net(Path(self.weights))
            return on_target_backbone(config, target, seed=self.seed)
        return initialise(config, self.weights, seed=self.seed, device=device)
