"""``vostrack train target``: the network behind the target models."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import tyro

from vostrack.cli.long_training import Accumulate, Average, LongTrainCommand
from vostrack.cli.train_command import Ahead, OptionalYear, check_effect
from vostrack.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from vostrack.datasets import VideoSequence
    from vostrack.models.target_net import TargetNet
    from vostrack.online_finetune.target.recipe import TargetRecipe
    from vostrack.online_finetune.target.training_clip import ClipSource
    from vostrack.training.loop import LoopConfig
    from vostrack.training.validation import Validation

__all__ = ["TrainTargetCommand"]

# Frames that the main directions of a second backbone's features are found from.
_IMAGES = 40
# As in the shipped network: the whole size gains nothing and takes 1.6 times as long.
_SCALE = 0.75


@dataclass(frozen=True, kw_only=True)
class TrainTargetCommand(LongTrainCommand):
    """Train the target network on annotated videos and composed clips.

    Example: vostrack train target --data davis:DAVIS:0.4 objects:PHOTOS:0.6 --output runs/target

    Clips of several objects are followed in the tracker's own loop and get longer as the training
    goes on. Ctrl-C is safe: the same command goes on from the last checkpoint. Several GPUs:
    torchrun --nproc-per-node 4 --no-python vostrack train target ...

    The result, target.safetensors, goes to vostrack track --weights. With --validate-every,
    best.safetensors is the best on what was held out.
    """

    results: ClassVar[tuple[str, ...]] = ("target.safetensors",)
    data: tuple[str, ...]
    """What to draw clips from: KIND:PATH:SHARE, KIND one of davis, youtube-vos, mose (annotated
    videos), objects (photographs with mattes, composed as by vostrack synthesize) and photos (the
    same photographs, each moved and bent as a whole)."""

    year: OptionalYear = None

    subset: Annotated[str | None, tyro.conf.arg(name="set")] = None
    """Which DAVIS list; train if you don't say."""

    exclude: tuple[str, ...] = ()
    """Videos that are not trained on: the result is judged on them."""

    backgrounds: tuple[Path, ...] = ()
    """Folders of stills, videos or data sets in the layout of DAVIS, to compose clips over."""

    validate: tuple[Path, ...] = ()
    """More to judge on: data sets in the layout of DAVIS 2017 (list val), such as vostrack
    synthesize writes."""

    backbone: str | None = None
    """Feature extractor: resnet18 (which is taken if you name none), resnet34, resnet50, resnet101,
    resnet152, mobilenet_v2, or the name of an installed plug-in."""

    backbone_options: tuple[str, ...] = ()
    """Options of a plug-in's feature extractor, as KEY=VALUE."""

    weights: str = "imagenet"
    """Initial weights: imagenet, none, a backbone's file, or a target network to go on from."""

    semantic_weights: Path | None = None
    """Weights of a DeepLabv3-MobileNetV2, to add as a second, fixed feature extractor. It stays in
    the result; leave this out where the target network of --weights has it already."""

    semantic_scale: float | None = None
    """Size of the images that it sees, relative to those of the first: above 0, at most 4. 0.75 if
    you give none. Only with --semantic-weights."""

    steps: int = 3000
    """Optimisation steps."""

    batch: int = 1
    """Clips that are held in memory at once, per process."""

    accumulate: Accumulate = 4

    clip_length: tuple[int, int] = (3, 8)
    """Frames of a clip at the first step and at the last."""

    pixels: tuple[int, ...] = (256 * 256, 320 * 320, 384 * 384)
    """Of the windows; each clip draws one of these."""

    learning_rate: float = 8e-4
    """Of the decoder, at the peak."""

    backbone_rates: tuple[float, float, float, float] = (0.0, 0.0, 0.05, 0.15)
    """Of the backbone's stages of stride 2, 4, 8 and 16, as shares of that; 0 keeps a stage."""

    outline_rate: float = 1.0
    """Of the decoder's layers that draw outlines, as a share of that; 0 keeps them."""

    average: Average = 0.98

    ahead: Ahead = 1

    def inputs(self) -> Iterator[tuple[str, Path]]:
        """Return the folders and files that are read, each with its flag's parameter."""
        from vostrack.cli.training_data import parse_data

        yield from super().inputs()
        yield from (("data", part.path) for part in parse_data(self.data))

    def execute(self) -> None:
        """Train until the last step or as long as allowed, and write the network."""
        from vostrack.cli.backbone_options import backbone_options
        from vostrack.cli.training_data import data_content, open_clips, parse_data
        from vostrack.models.weights import initialise_target_net, save_target_net
        from vostrack.online_finetune.target.recipe import TargetTraining
        from vostrack.training.processes import training_device

        config, recipe = self._loop(), self._recipe()
        parts = parse_data(self.data)
        self._check_effects({part.kind for part in parts})
        if self.semantic_scale is not None and self.semantic_weights is None:
            raise InputError("semantic_scale: give the second backbone with `semantic_weights` too")
        year, subset = self.year or 2017, self.subset or "train"
        clips, held_out = open_clips(
            parts,
            year=year,
            subset=subset,
            exclude=self.exclude,
            backgrounds=self.backgrounds,
        )
        device = training_device(self.device)
        options = backbone_options(self.backbone, self.backbone_options)
        network = initialise_target_net(
            self.backbone, self.weights, options=options, seed=self.seed, device=device
        ).to(device)
        if self.semantic_weights is not None:
            network = self._with_semantics(network, clips)
        read = {
            "data": data_content(parts, year, subset, self.output),
            "year": year,
            "subset": subset,
        }
        scale = {"semantic_scale": network.config.semantic_scale}
        settings = self.agreed(config, asdict(recipe) | scale, read)
        done = self.train_judged(
            network,
            TargetTraining(network, clips, recipe, self.steps),
            config,
            settings,
            self._validation(held_out),
        )
        if done is not None:
            path = self.output / self.results[0]
            save_target_net(network, path, half=True)
            self.report(f"{done} of {self.steps} steps: {path}")

    def _check_effects(self, kinds: Set[str]) -> None:
        """Refuse flags that would be ignored with data of these kinds."""
        davis, objects = "davis" in kinds, "objects" in kinds
        every, needs = self.validate_every > 0, "a part davis:PATH in --data"
        for flag, given, there, needed in (
            ("--year", self.year, davis, needs),
            ("--set", self.subset, davis, needs),
            ("--backgrounds", self.backgrounds, objects, "a part objects:PATH in --data"),
            ("--validate", self.validate, every, "steps between judgements; give --validate-every"),
        ):
            check_effect(flag, given=bool(given), there=there, needs=needed)

    def _with_semantics(self, network: TargetNet, clips: ClipSource) -> TargetNet:
        from torch import Generator

        from vostrack.models.add_semantic_backbone import add_semantic_backbone

        assert self.semantic_weights is not None
        generator = Generator().manual_seed(self.seed)
        drawn = (clips.draw(generator, 2)["images"][:1] for _ in range(_IMAGES))
        images = (image.to(network.mean.device).float() / 255 for image in drawn)
        scale = _SCALE if self.semantic_scale is None else self.semantic_scale
        return add_semantic_backbone(network, self.semantic_weights, images, scale=scale)

    def _loop(self) -> LoopConfig:
        return replace(
            self.loop(),
            warmup=min(100, max(1, self.steps // 20)),
            clip_norm=2.0,
            checkpoint_every=50,
        )

    def _recipe(self) -> TargetRecipe:
        from vostrack.online_finetune.target.recipe import TargetRecipe

        return TargetRecipe(
            batch=self.batch,
            clip_length=self.clip_length,
            pixels=self.pixels,
            learning_rate=self.learning_rate,
            backbone_shares=self.backbone_rates,
            outline_share=self.outline_rate,
        )

    def _validation(self, held_out: list[VideoSequence]) -> Validation | None:
        """Return how the network is judged on what was held out: J&F with the preset ``fast``."""
        if not self.validate_every:
            return None
        from vostrack.batch.held_out import score_held_out
        from vostrack.datasets import open_davis
        from vostrack.models.target_net import TargetNet
        from vostrack.models.weights import save_target_net
        from vostrack.online_finetune.target.adapter import TargetModelAdapter
        from vostrack.presets import PRESETS
        from vostrack.tracking.tracker import Tracker

        videos = [*held_out]
        for root in self.validate:
            videos += open_davis(root, year=2017, subset="val")
        if not videos:
            raise InputError(
                "--validate-every: nothing to judge on; name videos in --exclude, or give "
                "--validate a data set"
            )
        preset = PRESETS["fast"]

        def judge(network: nn.Module) -> dict[str, float]:
            assert isinstance(network, TargetNet)
            device = next(network.parameters()).device

            def build() -> Tracker:
                adapter = TargetModelAdapter(network, preset.target)
                return Tracker(adapter, config=preset.tracker, device=device)

            return score_held_out(build, videos)

        def save(network: nn.Module, path: Path) -> None:
            assert isinstance(network, TargetNet)
            save_target_net(network, path, half=True)

        return self.validation(judge, save, "J&F")
