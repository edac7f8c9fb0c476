"""``vostrack train localizer``: the boxes that pixels vote for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vostrack.checks import (
    demand_at_least,
    demand_finite,
    demand_multiple,
    demand_positive,
    demand_share,
)
from vostrack.cli.train_command import DavisSet, TrainCommand

if TYPE_CHECKING:
    from vostrack.models.shared_backbone import BackboneNetwork
    from vostrack.proposers.hough_voting.feature_pool import FeaturePool

__all__ = ["TrainLocalizerCommand"]


@dataclass(frozen=True, kw_only=True)
class TrainLocalizerCommand(TrainCommand, DavisSet):
    """Train the light localisation head of the proposer hough, on the backbone of a network.

    Objects of a DAVIS training set are pasted beside one another, and mixed with made scenes; the
    backbone stays as it is, its features are computed once.

    Example: vostrack train localizer --root DAVIS --output runs/localizer

    Ctrl-C is safe: the same command goes on from the last checkpoint. The result,
    localizer.safetensors, goes to vostrack propose --method hough --hough-localizer.
    """

    output: Path
    """Folder for the checkpoint, the log and the head."""

    year: int = 2017
    """Which DAVIS list and annotations: 2016 or 2017."""

    backbone: Literal["target", "foreground"] = "target"
    """Whose features the head reads. target: those of the presets fast, balanced and best, which
    lend them, so that no frame is computed twice. foreground: those of the foreground network."""

    weights: str = "shipped"
    """The network that the backbone is part of: shipped, or a file that train target (with
    --backbone foreground: train foreground) wrote."""

    pool: int = 300
    """Pictures whose features are computed."""

    pool_folder: Path | None = None
    """Keeps the features, for several trainings on the same pictures; OUTPUT/pool by default."""

    synthetic: float = 0.25
    """Share of made scenes among the pictures, in [0, 1]."""

    size: int = 320
    """Side of the pictures, pixels; a multiple of 16."""

    steps: int = 350
    """Optimisation steps."""

    batch: int = 8
    """Pictures per step."""

    learning_rate: float = 2e-3
    """Peak rate of AdamW."""

    keep: int = 256
    """Bootstrapping: hardest cells of a picture that are learnt from at least."""

    threshold: float = 0.0
    """Bootstrapping: all cells whose box overlaps the true one by less are learnt from; 1: all."""

    size_exponent: float = 0.5
    """Weight of a cell: (mean area / area of its instance's box) to this power; 0: no weights."""

    tensorboard: bool = False
    """Also write curves for TensorBoard."""

    def run(self) -> int:
        """Train to the end, and return 0."""
        import torch

        from vostrack.models.localizer import LocalizerConfig, LocalizerHead, save_localizer
        from vostrack.models.shared_backbone import backbone_fingerprint, load_backbone_network
        from vostrack.proposers.hough_voting.bootstrapping import Bootstrapping
        from vostrack.proposers.hough_voting.head_recipe import HeadRecipe, HeadTraining
        from vostrack.training.loop import train
        from vostrack.training.processes import is_first_process, training_device

        demand_at_least(self, {"batch": 1, "pool": 1})
        demand_multiple(self, "size", 16, least=32)
        demand_positive(self, "learning_rate")
        demand_finite(self, "learning_rate", "size_exponent")
        demand_share(self, "synthetic")
        loop = replace(self.loop(), weight_decay=1e-4, warmup=50)
        bootstrapping = Bootstrapping(self.keep, self.threshold)
        device = training_device(self.device)
        weights = None if self.weights == "shipped" else Path(self.weights)
        network = load_backbone_network(self.backbone, weights).to(device)
        name = backbone_fingerprint(network)
        options = HeadRecipe(
            self.batch,
            self.learning_rate,
            bootstrapping,
            self.size_exponent,
        )
        pool = self._pool(network, name)
        channels = dict(zip(network.backbone.strides, network.backbone.channels, strict=True))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            config = LocalizerConfig((channels[8], channels[16]), longest=self.size)
            head = LocalizerHead(config).to(device)
        settings = {
            "backbone": name,
            "pool": len(pool),
            **vars(options),
            "bootstrapping": vars(options.bootstrapping),
        }
        with self.progress(decimals=4) as show:
            recipe = HeadTraining(head, pool, options)
            train(head, recipe, loop, self.output, settings=settings, on_step=show)
        if is_first_process():
            path = self.output / "localizer.safetensors"
            save_localizer(head, path, backbone=name, half=True)
            if not self.quiet:
                print(f"trained on {len(pool)} pictures: {path}")
        return 0

    def _pool(self, network: BackboneNetwork, name: str) -> FeaturePool:
        from vostrack.proposers.hough_voting.feature_pool import build_pool
        from vostrack.proposers.hough_voting.scenes import Mixture, PastedScenes, SyntheticScenes

        sequences = self.sequences(self.year)
        source = Mixture(
            (PastedScenes(sequences, self.size), SyntheticScenes(self.size)),
            (1 - self.synthetic, self.synthetic),
        )
        key = f"{name} {[s.name for s in sequences]} {self.synthetic} {self.size}"
        with self.progress(self.pool, "picture") as show:
            return build_pool(
                network,
                source,
                self.pool,
                self.pool_folder or self.output / "pool",
                key=key,
                seed=self.seed,
                on_scene=show,
            )
