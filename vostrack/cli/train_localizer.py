"""``vostrack train localizer``: the boxes that pixels vote for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from vostrack.checks import check_at_least, check_fraction, check_multiple
from vostrack.cli.train_bootstrapping import BootstrappingFlags
from vostrack.cli.train_command import (
    Batch,
    DavisSet,
    LearningRate,
    Side,
    Steps,
    TrainCommand,
    Year,
)
from vostrack.wording import counted

if TYPE_CHECKING:
    from vostrack.datasets import VideoSequence
    from vostrack.models.shared_backbone import BackboneNetwork
    from vostrack.proposers.hough_voting.feature_pool import FeaturePool

__all__ = ["TrainLocalizerCommand"]


@dataclass(frozen=True, kw_only=True)
class TrainLocalizerCommand(BootstrappingFlags, TrainCommand, DavisSet):
    """Train the light localisation head of the proposer hough on the backbone of a network.

    Objects of a DAVIS training set are pasted beside one another and mixed with synthetic scenes.
    The backbone is frozen; its features are computed once.

    Example: vostrack train localizer --root DAVIS --output runs/localizer

    After Ctrl-C, the same command continues from the last checkpoint. The result is
    OUTPUT/localizer.safetensors, for vostrack propose --method hough --hough-localizer.
    """

    results: ClassVar[tuple[str, ...]] = ("localizer.safetensors",)
    renamed: ClassVar[Mapping[str, str]] = {**TrainCommand.renamed, "--size": "--side"}
    free: ClassVar[frozenset[str]] = TrainCommand.free | {"pool_folder"}

    year: Year = 2017

    backbone: Literal["target", "foreground"] = "target"
    """Network whose features the head reads. target: that of the presets fast, balanced and best,
    which share them, so that no frame is computed twice. foreground: the foreground network."""

    weights: str = "shipped"
    """The network that the backbone is part of: shipped, or a file that train target (with
    --backbone foreground: train foreground) wrote."""

    pool: int = 300
    """Number of scenes whose features are computed."""

    pool_folder: Path | None = None
    """Keeps the features, for several trainings on the same scenes; those on others keep theirs
    beside them. OUTPUT/pool by default."""

    synthetic: float = 0.25
    """Share of synthetic scenes, in [0, 1]; the others are pasted from the data set."""

    side: Side = 320

    steps: Steps = 350

    batch: Batch = 8

    learning_rate: LearningRate = 2e-3

    def execute(self) -> None:
        """Train to the end, and write the head."""
        import torch

        from vostrack.datasets.fingerprint import videos_fingerprint
        from vostrack.models.localizer import LocalizerConfig, LocalizerHead, save_localizer
        from vostrack.models.shared_backbone import backbone_fingerprint, load_backbone_network
        from vostrack.proposers.hough_voting.head_recipe import HeadRecipe, HeadTraining
        from vostrack.training.processes import training_device

        check_at_least(self, {"pool": 1})
        check_multiple(self, "side", 16, least=32)
        check_fraction(self, "synthetic")
        loop = self.loop(weight_decay=1e-4, warmup=50)
        recipe = HeadRecipe(
            self.batch, self.learning_rate, self.bootstrapping(), self.size_exponent
        )
        device = training_device(self.device)
        weights = None if self.weights == "shipped" else Path(self.weights)
        network = load_backbone_network(self.backbone, weights).to(device)
        name = backbone_fingerprint(network)
        sequences = self.sequences(self.year)
        read = videos_fingerprint(sequences)
        settings = {"backbone": name, "pool": self.pool, **asdict(recipe)}
        settings = self.agreed(loop, settings, {"root": read, "weights": name})
        self.check(loop, settings)
        pool = self._pool(network, sequences, f"{name} {self.year} {self.subset} {read}")
        channels = dict(zip(network.backbone.strides, network.backbone.channels, strict=True))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            config = LocalizerConfig((channels[8], channels[16]), longest=self.side)
            head = LocalizerHead(config).to(device)
        if self.train(head, HeadTraining(head, pool, recipe), loop, settings, decimals=4):
            path = self.output / self.results[0]
            save_localizer(head, path, backbone=name, half=True)
            self.report(f"trained on {counted(len(pool), 'scene')}: {path}")

    def _pool(
        self, network: BackboneNetwork, sequences: Sequence[VideoSequence], key: str
    ) -> FeaturePool:
        from vostrack.proposers.hough_voting.feature_pool import build_pool
        from vostrack.proposers.hough_voting.scenes import Mixture, PastedScenes, SyntheticScenes

        source = Mixture(
            (PastedScenes(sequences, self.side), SyntheticScenes(self.side)),
            (1 - self.synthetic, self.synthetic),
        )
        with self.progress(self.pool, "scene") as show:
            return build_pool(
                network,
                source,
                self.pool,
                self.pool_folder or self.output / "pool",
                key=f"{key} {self.synthetic} {self.side}",
                seed=self.seed,
                on_scene=show,
            )
