"""``vostrack train mask-localizer``: boxes from the shapes of masks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from vostrack.checks import check_at_least
from vostrack.cli.train_bootstrapping import BootstrappingFlags
from vostrack.cli.train_command import Batch, LearningRate, Steps, TrainCommand
from vostrack.wording import counted

__all__ = ["TrainMaskLocalizerCommand"]


@dataclass(frozen=True, kw_only=True)
class TrainMaskLocalizerCommand(BootstrappingFlags, TrainCommand):
    """Train the localisation head of the proposer hough that reads the shapes of masks.

    Semantic masks with void outlines, such as those of VOC, are enough. Objects are pasted beside
    one another, and the head learns the box of each from the mask of all. It reads the features of
    the network that comes with the proposer displacement, which is frozen.

    Example: vostrack train mask-localizer --masks VOC2012/SegmentationClassAug --output runs/boxes

    After Ctrl-C, the same command continues from the last checkpoint. The result is
    OUTPUT/localizer.safetensors, for vostrack propose --method hough --hough-localizer.
    """

    results: ClassVar[tuple[str, ...]] = ("localizer.safetensors",)

    masks: tuple[Path, ...]
    """Folders (PNG, or MAT of SBD) or zip files (PNG) of semantic masks."""

    exclude: tuple[str, ...] = ()
    """Patterns of mask names without suffix (2007_*); these are held out for evaluation."""

    pool: int = 2500
    """Number of scenes that are drawn once, before the first step."""

    steps: Steps = 1200

    batch: Batch = 16

    learning_rate: LearningRate = 2e-3

    def execute(self) -> None:
        """Train to the end, and write the head."""
        import torch

        from vostrack.datasets.label_maps import open_label_maps
        from vostrack.models.localizer import LocalizerConfig, LocalizerHead, save_localizer
        from vostrack.models.weights import shipped_weights
        from vostrack.proposers.displacement.networks import load_displacement_net
        from vostrack.proposers.hough_voting.mask_localizer import label_map_fingerprint
        from vostrack.proposers.hough_voting.mask_recipe import (
            MaskRecipe,
            MaskTraining,
            draw_items,
        )
        from vostrack.training.processes import training_device

        check_at_least(self, {"pool": 1})
        loop = self.loop(weight_decay=1e-4, warmup=50, clip_norm=5.0, checkpoint_every=50)
        recipe = MaskRecipe(
            self.batch, self.learning_rate, self.bootstrapping(), self.size_exponent
        )
        sources = open_label_maps(self.masks, exclude=self.exclude)
        device = training_device(self.device)
        network = load_displacement_net(shipped_weights("displacement")).to(device)
        name = label_map_fingerprint(network)
        settings = {"backbone": name, "pool": self.pool, **asdict(recipe)}
        settings = self.agreed(loop, settings)
        self.check(loop, settings)
        with self.progress(self.pool, "scene") as show:
            items = draw_items(sources, recipe.scenes, self.pool, seed=self.seed, on_item=show)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            channels = network.backbone_channels
            head = LocalizerHead(LocalizerConfig((channels[2], channels[3]))).to(device)
        training = MaskTraining(head, network, items, recipe)
        if self.train(head, training, loop, settings, decimals=4):
            path = self.output / self.results[0]
            save_localizer(head, path, backbone=name, half=True)
            self.report(f"trained on {counted(len(items), 'scene')}: {path}")
