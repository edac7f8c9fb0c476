"""``vostrack train mask-localizer``: boxes from the shapes of masks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from vostrack.checks import demand_at_least
from vostrack.cli.train_command import TrainCommand

__all__ = ["TrainMaskLocalizerCommand"]


@dataclass(frozen=True, kw_only=True)
class TrainMaskLocalizerCommand(TrainCommand):
    """Train the localisation head of the proposer hough that goes by the shapes of masks.

    Semantic masks with void outlines, as VOC has them, are enough: objects are pasted beside one
    another, and the head learns the box of each from the mask that they make together. It reads the
    features of the network that comes with the proposer displacement, which stays as it is.

    Example: vostrack train mask-localizer --masks VOC2012/SegmentationClassAug --output runs/boxes

    Ctrl-C is safe: the same command goes on from the last checkpoint. The result,
    localizer.safetensors, goes to vostrack propose --method hough --hough-localizer.
    """

    masks: tuple[Path, ...]
    """Folders (PNG, or MAT of SBD) or zip files (PNG) of semantic masks."""

    exclude: tuple[str, ...] = ()
    """Patterns of mask names without suffix (2007_*): these are kept to judge the result."""

    pool: int = 2500
    """Scenes that are drawn, once, before the first step."""

    steps: int = 1200
    """Optimisation steps."""

    batch: int = 16
    """Masks per step and process."""

    learning_rate: float = 2e-3
    """Peak rate of AdamW."""

    keep: int = 256
    """Bootstrapping: hardest cells of a mask that are learnt from at least."""

    threshold: float = 0.0
    """Bootstrapping: all cells whose box overlaps the true one by less are learnt from; 1: all."""

    size_exponent: float = 0.5
    """Weight of a cell: (mean area / area of its object's box) to this power; 0: no weights."""

    def run(self) -> int:
        """Train to the end, and return 0."""
        import torch

        from vostrack.datasets.label_maps import label_map_source
        from vostrack.models.localizer import LocalizerConfig, LocalizerHead, save_localizer
        from vostrack.models.weights import shipped_weights
        from vostrack.proposers.displacement.networks import load_displacement_net
        from vostrack.proposers.hough_voting.bootstrapping import Bootstrapping
        from vostrack.proposers.hough_voting.mask_localizer import label_map_fingerprint
        from vostrack.proposers.hough_voting.mask_recipe import MaskRecipe, MaskTraining, draw_items
        from vostrack.training.loop import train
        from vostrack.training.processes import is_first_process, training_device

        demand_at_least(self, {"pool": 1})
        loop = replace(
            self.loop(), weight_decay=1e-4, warmup=50, clip_norm=5.0, checkpoint_every=50
        )
        options = MaskRecipe(
            batch=self.batch,
            learning_rate=self.learning_rate,
            bootstrapping=Bootstrapping(self.keep, self.threshold),
            size_exponent=self.size_exponent,
        )
        sources = [label_map_source(path, exclude=self.exclude) for path in self.masks]
        device = training_device(self.device)
        network = load_displacement_net(shipped_weights("displacement")).to(device)
        with self.progress(self.pool, "scene") as show:
            items = draw_items(sources, options.scenes, self.pool, seed=self.seed, on_item=show)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            channels = network.backbone_channels
            head = LocalizerHead(LocalizerConfig((channels[2], channels[3]))).to(device)
        name = label_map_fingerprint(network)
        settings = {"backbone": name, "pool": len(items), "options": repr(options)}
        with self.progress(decimals=4) as show:
            recipe = MaskTraining(head, network, items, options)
            train(head, recipe, loop, self.output, settings=settings, on_step=show)
        if is_first_process():
            path = self.output / "localizer.safetensors"
            save_localizer(head, path, backbone=name, half=True)
            if not self.quiet:
                print(f"trained on {len(items)} scenes: {path}")
        return 0
