"""``vostrack train spn``: the network that sharpens scores along the edges of the image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vostrack.checks import demand_at_least, demand_share
from vostrack.cli.train_command import MixedPrecisionTrainCommand

if TYPE_CHECKING:
    from torch import nn

    from vostrack.models.foreground import SegmentationNet
    from vostrack.refine.spn.recipe import Source, SpnTraining

__all__ = ["TrainSpnCommand"]


@dataclass(frozen=True, kw_only=True)
class TrainSpnCommand(MixedPrecisionTrainCommand):
    """Train a spatial propagation network on VOC, DAVIS or made clips, in any mixture.

    Example: vostrack train spn --davis DAVIS --synthetic 200 --output runs/spn

    Ctrl-C is safe: the same command goes on from the last checkpoint. The result is
    spn.safetensors. Several GPUs: torchrun --nproc-per-node 4 --no-python vostrack train spn ...;
    --batch is that of each process. A run to see that all is in place, in a minute on a CPU:
    vostrack train spn --synthetic 8 --steps 50 --batch 2 --crop 128 --output runs/try
    """

    network: Literal["light", "whole"] = "light"
    """light: a head on the tracker's backbone. whole: with its own VGG-16, as in the paper."""

    davis: Path | None = None
    """Folder with ImageSets, JPEGImages and Annotations; its train set is used."""

    year: Literal[2016, 2017] = 2017
    """Which DAVIS list and annotations."""

    leave_out: tuple[str, ...] = ()
    """DAVIS sequences that are kept back, to judge the result on."""

    voc: Path | None = None
    """Folder with ImageSets, JPEGImages and SegmentationClass, as VOCdevkit/VOC2012."""

    voc_set: str = "train"
    """Which VOC list."""

    synthetic: int = 0
    """Number of made scenes."""

    synthetic_share: float = 0.3
    """Share of the crops that come from made scenes, where there are other pictures, too."""

    features: str = "shipped"
    """Network under a light head: shipped, or a file of vostrack train foreground."""

    encoder: Literal["imagenet", "none"] = "imagenet"
    """Initial weights of the whole network's VGG-16; torchvision fetches imagenet."""

    coarse: str = "degraded"
    """Where coarse scores come from: degraded (the truth made coarse), shipped or a file of
    vostrack train foreground (the objects of DAVIS and made clips), or a semantic network
    (the classes of VOC), such as fcn_resnet50."""

    coarse_weights: Path | None = None
    """Weights of the semantic network; torchvision fetches those of its own."""

    coarse_share: float = 0.5
    """Share of the crops that such a network scores; the others are degraded."""

    flat_share: float | None = None
    """Share of the crops shown without texture, so that even regions are learnt too: 0.15 for
    light, none for whole, unless given."""

    steps: int = 4000
    """Optimisation steps."""

    batch: int = 8
    """Crops per step."""

    crop: int = 256
    """Side of the square crops, pixels."""

    learning_rate: float | None = None
    """At the peak: 1e-3 for light, 1e-4 for whole, unless given."""

    ahead: int = 0
    """Batches that threads draw ahead; a GPU wants 4 or more."""

    def run(self) -> int:
        """Train to the end, and return 0."""
        from vostrack.refine.spn.recipe import train_spn
        from vostrack.refine.spn.weights import save_spn
        from vostrack.training.processes import is_first_process

        training = self._prepare()
        with self.progress() as show:
            train_spn(
                training,
                self.output,
                precision=self.precision,
                tensorboard=self.tensorboard,
                ahead=self.ahead,
                on_step=show,
            )
        if is_first_process():
            path = self.output / "spn.safetensors"
            save_spn(training.network, path)
            if not self.quiet:
                print(f"trained the {self.network} network: {path}")
        return 0

    def _prepare(self) -> SpnTraining:
        import torch

        from vostrack.refine.spn import (
            LightGuidanceHead,
            LightSpnConfig,
            SpatialPropagationNetwork,
            SpnConfig,
            frozen_features,
        )
        from vostrack.refine.spn.recipe import SpnRecipe, SpnTraining
        from vostrack.training.processes import training_device

        demand_at_least(self, {"ahead": 0, "synthetic": 0})
        demand_share(self, "synthetic_share", "coarse_share")
        flat = self.flat_share
        if flat is None:
            flat = 0.15 if self.network == "light" else 0.0
        rate = self.learning_rate
        if rate is None:
            rate = 1e-3 if self.network == "light" else 1e-4
        recipe = SpnRecipe(
            steps=self.steps,
            batch=self.batch,
            crop=self.crop,
            learning_rate=rate,
            warmup=min(100, self.steps // 10),
            seed=self.seed,
            network_share=self.coarse_share,
            flat_share=flat,
        )
        device = training_device(self.device)
        sources = self._open_sources()
        scorer = self._load_scorer()
        features = None
        network: SpatialPropagationNetwork | LightGuidanceHead
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            if self.network == "light":
                base = _load_foreground(self.features).to(device)
                features = frozen_features(base)
                network = LightGuidanceHead(LightSpnConfig(base.backbone.channels))
                network.open_gates()
            else:
                weights = "IMAGENET1K_V1" if self.encoder == "imagenet" else None
                network = SpatialPropagationNetwork(SpnConfig(vgg_weights=weights))
        return SpnTraining(
            network.to(device),
            sources,
            recipe,
            features=features,
            scorer=None if scorer is None else scorer.to(device),
        )

    def _open_sources(self) -> list[Source]:
        """Weigh pictures alike, but for the share of the made ones."""
        from vostrack.datasets import open_davis
        from vostrack.errors import InputError
        from vostrack.refine.spn.training_images import (
            DavisImages,
            SyntheticImages,
            VocImages,
        )

        sources: list[Source] = []
        if self.davis is not None:
            sequences = open_davis(self.davis, year=self.year, subset="train")
            kept = DavisImages(s for s in sequences if s.name not in self.leave_out)
            sources.append((float(len(kept)), kept))
        if self.voc is not None:
            voc = VocImages(self.voc, self.voc_set)
            sources.append((float(len(voc)), voc))
        if self.synthetic:
            real = sum(weight for weight, _ in sources)
            share = self.synthetic_share if real else 1.0
            sources = [(weight / real * (1 - share), pictures) for weight, pictures in sources]
            sources.append((share, SyntheticImages(self.synthetic, seed=self.seed)))
        if not sources:
            raise InputError(
                "training: no pictures; give --davis DIR, --voc DIR or --synthetic N, or several"
            )
        return sources

    def _load_scorer(self) -> nn.Module | None:
        if self.coarse == "degraded":
            return None
        if self.coarse == "shipped" or Path(self.coarse).is_file():
            return _load_foreground(self.coarse)
        from vostrack.proposers.semantic import build_semantic

        return build_semantic(self.coarse, self.coarse_weights)


def _load_foreground(name: str) -> SegmentationNet:
    from vostrack.models.weights import load_network, shipped_weights

    return load_network(shipped_weights() if name == "shipped" else Path(name))
