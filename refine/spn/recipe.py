"""How propagation networks are trained: the numbers; see ``vostrack.refine.spn.training``."""

from __future__ import annotations

from dataclasses import dataclass, field

from vostrack.checks import check_at_least, check_finite, check_fraction, check_positive
from vostrack.datasets.augmentation import AugmentationConfig, strong_augmentation
from vostrack.refine.spn.degradation import DegradationConfig

__all__ = ["SpnRecipe"]


@dataclass(frozen=True)
class SpnRecipe:
    """How a propagation network is trained, apart from the loop.

    Attributes:
        batch: crops per step and process.
        side: of the square crops, pixels.
        learning_rate: at the peak; a VGG-16 encoder is trained at a tenth of it.
        network_share: share of the crops that get their coarse scores from a segmentation network,
            where one is given that knows their labels.
        flat_share: share of the crops whose texture is removed, so that gates learn to close at
            the edges of even regions too; their scores are degraded true masks.
        augmentation: what a crop may go through.
        degradation: how the scores of the other crops are made from their true masks.
    """

    batch: int = 8
    side: int = 256
    learning_rate: float = 1e-3
    network_share: float = 0.5
    flat_share: float = 0.0
    augmentation: AugmentationConfig = field(
        default_factory=lambda: strong_augmentation(brightness=0.2, contrast=0.2, saturation=0.2)
    )
    degradation: DegradationConfig = field(default_factory=DegradationConfig)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: a value out of its range.
        """
        check_at_least(self, {"batch": 1, "side": 32})
        check_positive(self, "learning_rate")
        check_finite(self, "learning_rate")
        check_fraction(self, "network_share", "flat_share")
