"""``vostrack train siseg``: displacement fields and class boundaries from semantic masks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vostrack.checks import demand_at_least
from vostrack.cli.train_command import MixedPrecisionTrainCommand

if TYPE_CHECKING:
    from vostrack.datasets.label_maps import LabelMapSource
    from vostrack.proposers.displacement.recipe import SisegRecipe

__all__ = ["TrainSisegCommand"]


@dataclass(frozen=True, kw_only=True)
class TrainSisegCommand(MixedPrecisionTrainCommand):
    """Train the displacement proposer on semantic masks; no instance label is read.

    Example: vostrack train siseg --masks VOC2012/SegmentationClassAug --output runs/siseg

    Ctrl-C is safe: the same command goes on from the last checkpoint. The result,
    displacement.safetensors, goes to vostrack propose --method displacement
    --displacement-weights. Start it with torchrun to use several GPUs.
    """

    masks: tuple[Path, ...] = ()
    """Folders (PNG, or MAT of SBD) or zip files (PNG) of semantic masks: VOC, SBD, ADE20K."""

    exclude: tuple[str, ...] = ()
    """Patterns of mask names without suffix (2007_*): these are kept to judge the result."""

    background_ids: tuple[int, ...] = ()
    """Class ids in folders that have no instances and count as background (sky, floor)."""

    davis: Path | None = None
    """DAVIS folder, whose training set gives foreground masks."""

    davis_year: Literal[2016, 2017] = 2017
    """Which DAVIS list and annotations."""

    drawn: int = 0
    """So many label maps of random shapes, too."""

    backbone: Literal["light", "resnet50", "resnet101"] = "light"
    """light learns from scratch; a ResNet is frozen, as in the paper."""

    weights: str | None = None
    """Of a ResNet backbone: imagenet, none, or a file (default: imagenet)."""

    steps: int = 1800
    """Optimisation steps."""

    batch: int | None = None
    """Scenes per step and process (default: 8, ResNet: 14)."""

    crop: int | None = None
    """Side of the square scenes, pixels (default: 256, ResNet: 512)."""

    longest: tuple[int, int] | None = None
    """The longer side of masks is scaled to between these (default: 224 416, ResNet: 256 768)."""

    pieces: int = 3
    """At most so many pieces of other masks are pasted into a scene; 0 for the paper's scenes."""

    offsets: int | None = None
    """Draw so many of the 152 pair offsets for each step (default: 16, ResNet: all)."""

    rate: float | None = None
    """Peak learning rate (default: 2e-3, ResNet: 0.05)."""

    def run(self) -> int:
        """Train to the end, and return 0."""
        import torch

        from vostrack.proposers.displacement.backbones import fill_displacement_backbone
        from vostrack.proposers.displacement.networks import (
            DisplacementNet,
            NetworkConfig,
            save_displacement_net,
        )
        from vostrack.proposers.displacement.recipe import (
            SisegTraining,
            estimate_mean_shift,
            loop_for,
        )
        from vostrack.training.loop import train
        from vostrack.training.processes import is_first_process, training_device

        demand_at_least(self, {"steps": 1, "seed": 0, "drawn": 0})
        config = self._config()
        sources = self._sources()
        light = self.backbone == "light"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = DisplacementNet(None if light else NetworkConfig.paper(self.backbone))
        fill_displacement_backbone(
            network.backbone, self.backbone, self.weights or ("none" if light else "imagenet")
        )
        # The faster layout of convolutions on processors, too.
        network.to(training_device(self.device)).to(memory_format=torch.channels_last)
        recipe = SisegTraining(network, sources, config)
        loop = loop_for(
            network,
            self.steps,
            seed=self.seed,
            checkpoint_every=min(20, self.steps),
            precision=self.precision,
            tensorboard=self.tensorboard,
        )
        with self.progress() as show:
            settings = {"network": vars(network.config), "recipe": repr(recipe.config)}
            train(network, recipe, loop, self.output, settings=settings, on_step=show)
        if is_first_process():
            shift = estimate_mean_shift(recipe, seed=self.seed).tolist()
            path = self.output / "displacement.safetensors"
            save_displacement_net(network, path, half=light)
            if not self.quiet:
                count = sum(len(source) for source in recipe.sources)
                print(
                    f"trained on {count} label maps, mean shift {shift[0]:.2f} {shift[1]:.2f} "
                    f"cells: {path}"
                )
        return 0

    def _sources(self) -> list[LabelMapSource]:
        from vostrack.datasets import open_davis
        from vostrack.datasets.label_maps import (
            DrawnMaps,
            ForegroundMaps,
            label_map_source,
        )
        from vostrack.errors import InputError

        sources = [
            label_map_source(path, background=self.background_ids, exclude=self.exclude)
            for path in self.masks
        ]
        if self.davis is not None:
            sequences = open_davis(self.davis, year=self.davis_year, subset="train")
            sources.append(ForegroundMaps(sequences))
        if self.drawn:
            sources.append(DrawnMaps(self.drawn, seed=self.seed))
        if not sources:
            raise InputError(
                "training: no label maps; give --masks with a folder or zip file of semantic "
                "masks, --davis, or --drawn with a number"
            )
        return sources

    def _config(self) -> SisegRecipe:
        from vostrack.proposers.displacement.recipe import SisegRecipe
        from vostrack.proposers.displacement.scenes import SceneConfig

        light = self.backbone == "light"
        batch, crop, longest = (8, 256, (224, 416)) if light else (14, 512, (256, 768))
        return SisegRecipe(
            batch=batch if self.batch is None else self.batch,
            rate=self.rate,
            offsets=16 if light and self.offsets is None else self.offsets,
            centre=1.0 if light else 0.0,
            scenes=SceneConfig(
                crop=crop if self.crop is None else self.crop,
                longest=longest if self.longest is None else self.longest,
                pieces=self.pieces,
                permute=light,
                objects=light,
                merge=0.1 if light else 0.0,
            ),
        )
