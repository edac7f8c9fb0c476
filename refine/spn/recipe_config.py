"""The settings of a training of propagation networks."""

from __future__ import annotations

from dataclasses import dataclass, field

from vostrack.checks import demand_at_least, demand_finite, demand_positive, demand_share
from vostrack.compute.precision import Precision
from vostrack.datasets.augmentation import AugmentationConfig
from vostrack.refine.spn.degradation import DegradationConfig
from vostrack.training.loop_config import LoopConfig

__all__ = ["SpnRecipe"]


@dataclass(frozen=True)
class SpnRecipe:
    """How a propagation network is trained.

    Attributes:
        steps: optimisation steps.
        batch: crops per step and process.
        crop: side of the square crops, pixels.
        learning_rate: at the peak; that of a VGG-16 encoder is a tenth of it.
        weight_decay: of AdamW.
        warmup: steps of linear warm-up.
        seed: of every random choice.
        checkpoint_every: steps between checkpoints.
        network_share: share of the crops that get their coarse scores from a segmentation network,
            where one is given that knows their labels.
        flat_share: share of the crops whose texture is taken away, so that gates learn to close at
            the edges of even regions too; their scores are the truth made coarse.
        augmentation: what a crop may go through.
        degradation: how coarse the other crops' scores are.
    """

    steps: int = 4000
    batch: int = 8
    crop: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warmup: int = 100
    seed: int = 0
    checkpoint_every: int = 200
    network_share: float = 0.5
    flat_share: float = 0.0
    augmentation: AugmentationConfig = field(
        default_factory=lambda: AugmentationConfig(
            scale=(0.6, 1.7),
            rotation=15,
            shift=0.3,
            flip=0.5,
            brightness=0.2,
            contrast=0.2,
            saturation=0.2,
            identity=0.0,
        )
    )
    degradation: DegradationConfig = field(default_factory=DegradationConfig)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: a value out of its range.
        """
        demand_at_least(self, {"batch": 1, "crop": 32})
        demand_positive(self, "learning_rate")
        demand_finite(self, "learning_rate")
        demand_share(self, "network_share", "flat_share")
        self.loop()

    def loop(
        self, *, precision: Precision = "auto", tensorboard: bool = False, ahead: int = 0
    ) -> LoopConfig:
        """Return the settings of the loop.

        Args:
            precision: of the forward pass.
            tensorboard: write curves for TensorBoard, too.
            ahead: batches drawn ahead in threads.
        """
        return LoopConfig(
            steps=self.steps,
            weight_decay=self.weight_decay,
            warmup=self.warmup,
            seed=self.seed,
            checkpoint_every=self.checkpoint_every,
            precision=precision,
            tensorboard=tensorboard,
            ahead=ahead,
        )
