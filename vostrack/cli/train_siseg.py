"""``vostrack train siseg``: displacement fields and class boundaries from semantic masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from vostrack.checks import check_at_least
from vostrack.cli.train_command import (
    MixedPrecisionTrainCommand,
    OptionalYear,
    Steps,
    TrainCommand,
    check_effect,
)
from vostrack.wording import counted

if TYPE_CHECKING:
    from vostrack.datasets import VideoSequence
    from vostrack.datasets.label_maps import LabelMapSource
    from vostrack.proposers.displacement.recipe import SisegRecipe

__all__ = ["TrainSisegCommand"]


@dataclass(frozen=True, kw_only=True)
class TrainSisegCommand(MixedPrecisionTrainCommand):
    """Train the displacement proposer on semantic masks, without instance labels.

    Example: vostrack train siseg --masks VOC2012/SegmentationClassAug --output runs/siseg

    After Ctrl-C, the same command continues from the last checkpoint. The result is
    OUTPUT/displacement.safetensors, for vostrack propose --method displacement
    --displacement-weights. Start it with torchrun to use several GPUs.
    """

    results: ClassVar[tuple[str, ...]] = ("displacement.safetensors",)
    renamed: ClassVar[Mapping[str, str]] = {**TrainCommand.renamed, "--davis-year": "--year"}

    masks: tuple[Path, ...] = ()
    """Folders (PNG, or MAT of SBD) or zip files (PNG) of semantic masks: VOC, SBD, ADE20K."""

    exclude: tuple[str, ...] = ()
    """Patterns of names that are held out for evaluation: of masks without suffix (2007_*), and of
    the videos of --davis."""

    background_ids: tuple[int, ...] = ()
    """Class ids without instances (sky, floor), which count as background in --masks."""

    davis: Path | None = None
    """DAVIS folder; its training set adds foreground masks."""

    year: OptionalYear = None

    drawn: int = 0
    """Number of label maps of random shapes that are added."""

    backbone: Literal["light", "resnet50", "resnet101"] = "light"
    """light learns from scratch; a ResNet is frozen, as in the paper."""

    weights: str | None = None
    """Of a ResNet backbone: imagenet, none, or a file (default: imagenet)."""

    steps: Steps = 1800

    batch: int | None = None
    """Scenes per step and process (default: 8, ResNet: 14)."""

    side: int | None = None
    """Side of the square scenes, pixels (default: 256, ResNet: 512)."""

    longest: tuple[int, int] | None = None
    """The longer side of masks is scaled to between these (default: 224 416, ResNet: 256 768)."""

    pieces: int = 3
    """Highest number of pieces of other masks pasted into a scene; 0 for the paper's scenes."""

    offsets: int | None = None
    """Number of the 152 pair offsets that are drawn for each step (default: 16, ResNet: all)."""

    learning_rate: float | None = None
    """Peak learning rate (default: 2e-3, ResNet: 0.05)."""

    def execute(self) -> None:
        """Train to the end, and write the network."""
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
        from vostrack.training.processes import training_device

        check_at_least(self, {"steps": 1, "seed": 0, "drawn": 0})
        recipe = self._recipe()
        sources = self._sources()
        light = self.backbone == "light"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = DisplacementNet(None if light else NetworkConfig.paper(self.backbone))
        weights = self.weights or ("none" if light else "imagenet")
        fill_displacement_backbone(network.backbone, self.backbone, weights)
        # Faster convolutions, on CPUs as well.
        network.to(training_device(self.device)).to(memory_format=torch.channels_last)
        training = SisegTraining(network, sources, recipe)
        loop = loop_for(
            network,
            self.steps,
            seed=self.seed,
            checkpoint_every=min(20, self.steps),
            precision=self.precision,
            tensorboard=self.tensorboard,
        )
        settings = {"network": asdict(network.config), **asdict(recipe)}
        settings = self.agreed(loop, settings, {"weights": weights, **self._davis_content()})
        if self.train(network, training, loop, settings):
            shift = estimate_mean_shift(training, seed=self.seed).tolist()
            path = self.output / self.results[0]
            save_displacement_net(network, path, half=light)
            count = sum(len(source) for source in sources)
            self.report(
                f"trained on {counted(count, 'label map')}, mean shift {shift[0]:.2f} "
                f"{shift[1]:.2f} cells: {path}"
            )

    def _davis_content(self) -> dict[str, object]:
        """Return what DAVIS holds, if it is trained on: its training set alone counts."""
        from vostrack.datasets import open_davis
        from vostrack.datasets.fingerprint import videos_fingerprint

        if self.davis is None:
            return {}
        year = self.year or 2017
        sequences = list(open_davis(self.davis, year=year, subset="train"))
        return {"davis": videos_fingerprint(sequences), "year": year}

    def _sources(self) -> list[LabelMapSource]:
        from vostrack.datasets import open_davis
        from vostrack.datasets.label_maps import DrawnMaps, open_label_maps
        from vostrack.errors import InputError

        masks, davis = bool(self.masks), self.davis is not None
        for flag, given, there, needs in (
            ("--background-ids", self.background_ids, masks, "masks; give --masks"),
            ("--exclude", self.exclude, masks or davis, "masks or videos; give --masks or --davis"),
            ("--year", self.year, davis, "DAVIS; give --davis"),
        ):
            check_effect(flag, given=bool(given), there=there, needs=needs)
        videos: Sequence[VideoSequence] = ()
        if self.davis is not None:
            videos = open_davis(self.davis, year=self.year or 2017, subset="train")
        sources = open_label_maps(
            self.masks, background=self.background_ids, exclude=self.exclude, videos=videos
        )
        if self.drawn:
            sources.append(DrawnMaps(self.drawn, seed=self.seed))
        if not sources:
            raise InputError(
                "training: no label maps; give --masks with a folder or zip file of semantic "
                "masks, --davis, or --drawn with a number"
            )
        return sources

    def _recipe(self) -> SisegRecipe:
        from vostrack.proposers.displacement.recipe import SisegRecipe
        from vostrack.proposers.displacement.scenes import SceneConfig

        light = self.backbone == "light"
        batch, side, longest = (8, 256, (224, 416)) if light else (14, 512, (256, 768))
        return SisegRecipe(
            batch=batch if self.batch is None else self.batch,
            learning_rate=self.learning_rate,
            offsets=16 if light and self.offsets is None else self.offsets,
            centre=1.0 if light else 0.0,
            scenes=SceneConfig(
                side=side if self.side is None else self.side,
                longest=longest if self.longest is None else self.longest,
                pieces=self.pieces,
                permute=light,
                objects=light,
                merge=0.1 if light else 0.0,
            ),
        )
