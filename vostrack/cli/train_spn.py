"""``vostrack train spn``: the network that refines scores along the edges of the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from vostrack.checks import check_at_least, check_fraction
from vostrack.cli.long_training import LongTrainCommand
from vostrack.cli.train_command import (
    Batch,
    OptionalYear,
    Side,
    Steps,
    TrainCommand,
    check_effect,
)
from vostrack.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from vostrack.datasets import VideoSequence
    from vostrack.models.foreground import SegmentationNet
    from vostrack.refine.spn import LightGuidanceHead, SpatialPropagationNetwork
    from vostrack.refine.spn.training import Source, SpnTraining
    from vostrack.refine.spn.training_images import TrainingImages
    from vostrack.training.validation import Validation

__all__ = ["TrainSpnCommand"]

# Three tenths of the clips that taught the target network were of photographs, too.
_PHOTO_SHARE = 0.3
_SYNTHETIC_SHARE = 0.3
_COARSE_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class TrainSpnCommand(LongTrainCommand):
    """Train a spatial propagation network (SPN) on images with masks, in any mixture.

    Example: vostrack train spn --davis DAVIS --synthetic 200 --output runs/spn

    After Ctrl-C, the same command continues from the last checkpoint. The result is
    OUTPUT/spn.safetensors. Several GPUs: torchrun --nproc-per-node 4 --no-python vostrack train spn
    ... A trial run takes a minute on a CPU:
    vostrack train spn --synthetic 8 --steps 50 --batch 2 --side 128 --output runs/try
    """

    results: ClassVar[tuple[str, ...]] = ("spn.safetensors",)
    renamed: ClassVar[Mapping[str, str]] = {
        **TrainCommand.renamed,
        "--features": "--weights",
        "--encoder": "--weights",
    }

    network: Literal["light", "whole"] = "light"
    """light: a head on the backbone of the foreground network. whole: with its own VGG-16, as in
    the paper."""

    davis: Path | None = None
    """Folder with ImageSets, JPEGImages and Annotations; its train set is used."""

    year: OptionalYear = None

    exclude: tuple[str, ...] = ()
    """DAVIS sequences that are held out for evaluation."""

    voc: Path | None = None
    """Folder with ImageSets, JPEGImages and SegmentationClass, as VOCdevkit/VOC2012."""

    voc_set: str | None = None
    """Which VOC list; train if you don't say."""

    synthetic: int = 0
    """Number of synthetic scenes."""

    synthetic_share: float | None = None
    """Share of the crops that come from synthetic scenes, when other images are given as well; 0.3
    if you don't say."""

    photos: Path | None = None
    """Folder of photographs with mattes (JPEGImages and Mattes)."""

    photo_share: float | None = None
    """Share of the other crops that are of these photographs; 0.3 if you don't say."""

    weights: str | None = None
    """light: the network under the head, shipped (default) or a file of vostrack train foreground;
    it is frozen. whole: initial weights of its VGG-16, imagenet (default) or none."""

    coarse: str = "degraded"
    """Where coarse scores come from: degraded (true masks made coarse), shipped or a file of
    vostrack train foreground (the objects of DAVIS and synthetic clips), or a semantic network
    (the classes of VOC), such as fcn_resnet50."""

    coarse_weights: Path | None = None
    """Weights of the semantic network; torchvision's own are downloaded by default."""

    coarse_share: float | None = None
    """Share of the crops that get their scores from such a network; the others are degraded. 0.5
    if you don't say."""

    flat_share: float | None = None
    """Share of the crops shown without texture, so that the network also learns even regions
    (default: 0.15 for light, 0 for whole)."""

    steps: Steps = 4000

    batch: Batch = 8

    side: Side = 256

    learning_rate: float | None = None
    """Peak learning rate (default: 1e-3 for light, 1e-4 for whole)."""

    def execute(self) -> None:
        """Train to the end, and write the network."""
        from vostrack.refine.spn.weights import save_spn

        loop = self.loop(weight_decay=1e-4, warmup=min(100, self.steps // 10))
        training, base = self._prepare()
        settings = self.agreed(loop, training.settings, self._content())
        validation = self._validation(training, base)
        done = self.train_judged(training.network, training, loop, settings, validation)
        if done is not None:
            path = self.output / self.results[0]
            save_spn(training.network, path, base=base)
            self.report(f"{done} of {self.steps} steps, trained the {self.network} network: {path}")

    def _validation(self, training: SpnTraining, base: SegmentationNet | None) -> Validation | None:
        """Return how the network is judged: mean IoU of refined crops of excluded sequences."""
        if not self.validate_every:
            return None
        from vostrack.cli.excluded_videos import held_out_videos
        from vostrack.datasets import open_davis
        from vostrack.refine.spn import LightGuidanceHead, SpatialPropagationNetwork
        from vostrack.refine.spn.training_images import DavisImages
        from vostrack.refine.spn.validation import judge_refined
        from vostrack.refine.spn.weights import save_spn

        sequences = []
        if self.davis is not None:
            sequences = list(open_davis(self.davis, year=self.year or 2017, subset="train"))
        images = DavisImages(held_out_videos(sequences, self.exclude))

        def save(network: nn.Module, path: Path) -> None:
            assert isinstance(network, LightGuidanceHead | SpatialPropagationNetwork)
            save_spn(network, path, base=base)

        judge = judge_refined(training.over([(1.0, images)]), self.seed)
        return self.validation(judge, save, "J")

    def _content(self) -> dict[str, object]:
        """Return what stands for flags in the checkpoint: of data sets, the lists that count."""
        from vostrack.datasets.fingerprint import files_fingerprint, videos_fingerprint
        from vostrack.refine.spn.training_images import VocImages

        default = "imagenet" if self.network == "whole" else "shipped"
        content: dict[str, object] = {
            "weights": self.weights or default,
            "year": self.year or 2017,
            "voc_set": self.voc_set or "train",
            "photo_share": _or(self.photo_share, _PHOTO_SHARE),
            "synthetic_share": _or(self.synthetic_share, _SYNTHETIC_SHARE),
            "coarse_share": _or(self.coarse_share, _COARSE_SHARE),
        }
        if self.davis is not None:
            content["davis"] = videos_fingerprint(self._davis_videos(self.davis))
        if self.voc is not None:
            content["voc"] = files_fingerprint(
                VocImages(self.voc, self.voc_set or "train").named_files()
            )
        return content

    def _davis_videos(self, root: Path) -> list[VideoSequence]:
        """Open the training set without what is held out."""
        from vostrack.cli.excluded_videos import check_excluded, without_excluded
        from vostrack.datasets import open_davis

        sequences = list(open_davis(root, year=self.year or 2017, subset="train"))
        check_excluded(self.exclude, [sequence.name for sequence in sequences])
        return without_excluded(sequences, self.exclude)

    def _prepare(self) -> tuple[SpnTraining, SegmentationNet | None]:
        """Build the training, and for a light head the network whose backbone it is trained on."""
        from vostrack.refine.spn import frozen_features
        from vostrack.refine.spn.recipe import SpnRecipe
        from vostrack.refine.spn.training import SpnTraining
        from vostrack.training.processes import training_device

        check_at_least(self, {"synthetic": 0})
        self._check_effects()
        light = self.network == "light"
        flat = (0.15 if light else 0.0) if self.flat_share is None else self.flat_share
        rate = (1e-3 if light else 1e-4) if self.learning_rate is None else self.learning_rate
        recipe = SpnRecipe(
            batch=self.batch,
            side=self.side,
            learning_rate=rate,
            network_share=_or(self.coarse_share, _COARSE_SHARE),
            flat_share=flat,
        )
        device = training_device(self.device)
        sources = self._open_sources()
        scorer = self._load_scorer()
        network, base = self._build_network(device)
        training = SpnTraining(
            network.to(device),
            sources,
            recipe,
            features=None if base is None else frozen_features(base),
            scorer=None if scorer is None else scorer.to(device),
        )
        return training, base

    def _check_effects(self) -> None:
        """Refuse shares out of their range, and flags that would be ignored."""
        shares = ("photo_share", "synthetic_share", "coarse_share")
        check_fraction(self, *(name for name in shares if getattr(self, name) is not None))
        davis, photos = self.davis is not None, self.photos is not None
        network = self.coarse != "degraded"
        semantic = network and self.coarse != "shipped" and not Path(self.coarse).is_file()
        for flag, value, there, needs in (
            ("--photo-share", self.photo_share, photos, "photographs; give --photos"),
            ("--exclude", self.exclude or None, davis, "DAVIS; give --davis"),
            ("--year", self.year, davis, "DAVIS; give --davis"),
            ("--voc-set", self.voc_set, self.voc is not None, "VOC; give --voc"),
            (
                "--synthetic-share",
                self.synthetic_share,
                self.synthetic > 0,
                "synthetic scenes; give --synthetic",
            ),
            ("--coarse-share", self.coarse_share, network, "a network; name it in --coarse"),
            (
                "--coarse-weights",
                self.coarse_weights,
                semantic,
                "a semantic network; name it in --coarse",
            ),
        ):
            check_effect(flag, given=value is not None, there=there, needs=needs)

    def _build_network(
        self, device: torch.device
    ) -> tuple[SpatialPropagationNetwork | LightGuidanceHead, SegmentationNet | None]:
        """Build the network, and for a light head the one whose backbone it is trained on."""
        import torch

        from vostrack.refine.spn import (
            LightGuidanceHead,
            LightSpnConfig,
            SpatialPropagationNetwork,
            SpnConfig,
        )

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            if self.network == "whole":
                pretrained = _vgg_weights(self.weights)
                return SpatialPropagationNetwork(SpnConfig(vgg_weights=pretrained)), None
            base = _load_foreground(self.weights or "shipped").to(device)
            network = LightGuidanceHead(LightSpnConfig(base.backbone.channels))
            network.open_gates()
            return network, base

    def _open_sources(self) -> list[Source]:
        """Weigh all images alike, except for the shares of photographs and synthetic ones."""
        from vostrack.cli.spn_sources import weighed_sources
        from vostrack.datasets.composites.matted_photos import clean_photos
        from vostrack.refine.spn.training_images import (
            DavisImages,
            PhotoImages,
            SyntheticImages,
            VocImages,
        )
        from vostrack.training.samples import PhotoSamples

        alike: list[TrainingImages] = []
        if self.davis is not None:
            alike.append(DavisImages(self._davis_videos(self.davis)))
        if self.voc is not None:
            alike.append(VocImages(self.voc, self.voc_set or "train"))
        shared: list[tuple[float, TrainingImages]] = []
        if self.photos is not None:
            photos = PhotoImages(PhotoSamples(clean_photos(self.photos)))
            shared.append((_or(self.photo_share, _PHOTO_SHARE), photos))
        if self.synthetic:
            synthetic = SyntheticImages(self.synthetic, seed=self.seed)
            shared.append((_or(self.synthetic_share, _SYNTHETIC_SHARE), synthetic))
        return weighed_sources(alike, shared)

    def _load_scorer(self) -> nn.Module | None:
        if self.coarse == "degraded":
            return None
        if self.coarse == "shipped" or Path(self.coarse).is_file():
            return _load_foreground(self.coarse)
        from vostrack.proposers.semantic import build_semantic

        return build_semantic(self.coarse, self.coarse_weights)


def _vgg_weights(name: str | None) -> Literal["IMAGENET1K_V1"] | None:
    if name not in (None, "imagenet", "none"):
        raise InputError(f"--weights: expected imagenet or none with --network whole, got {name!r}")
    return None if name == "none" else "IMAGENET1K_V1"


def _load_foreground(name: str) -> SegmentationNet:
    from vostrack.models.weights import load_network, shipped_weights

    return load_network(shipped_weights() if name == "shipped" else Path(name))


def _or(share: float | None, default: float) -> float:
    return default if share is None else share
