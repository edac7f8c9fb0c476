"""Higher-order detection potentials with latent validity (Arnab et al. 2016; their eq. 2 and 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from vostrack.errors import InputError
from vostrack.proposers.detection_crf.options import DetectionCrfOptions

__all__ = ["BoundDetections", "Convention", "DetectionPotentialConfig", "DetectionPotentials"]

Convention = Literal["per_pixel", "equation", "released"]

_CLIP = 1e-4


@dataclass(frozen=True)
class DetectionPotentialConfig:
    """How strongly detections and pixels pull at each other.

    Attributes:
        convention: "equation" is eq. 2 to the letter: one weight w per class, its pull on each
            pixel w s / size(F). "per_pixel" has separate weights for the pixels and for the latent
            variables, and pulls each pixel by w s whatever the size of the foreground (which is
            of thousands of pixels, so that eq. 2 moves nothing unless w is as large). "released"
            follows the authors' code: as "per_pixel", but the latent variables start from the
            logits (1 - s, s) in place of log-odds, and send no gradient back.
        pixel_weight: start value of the classes' weights in the update of the pixels.
        latent_weight: the same for the update of the latent variables; unused by "equation".
        neutral_score: the detector score, in (0, 1), of a detection as likely right as wrong:
            the pixels are pushed away from the class of a detection that starts below it. It
            belongs to the detector; unused by "released", whose neutral score is 0.5.
    """

    convention: Convention = "per_pixel"
    pixel_weight: float = 3.0
    latent_weight: float = 1.0
    neutral_score: float = DetectionCrfOptions.neutral_score

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: an unknown convention, or a neutral score outside (0, 1).
        """
        if self.convention not in get_args(Convention):
            raise InputError(
                f"convention: expected one of {', '.join(get_args(Convention))}, "
                f"got {self.convention!r}"
            )
        if not 0 < self.neutral_score < 1:
            raise InputError(f"neutral_score: expected in (0, 1), got {self.neutral_score}")


class DetectionPotentials(nn.Module):
    """The trainable weights of the potentials; ``bind`` makes the term of one image.

    Args:
        classes: L, background included.
        config: convention and start values.
    """

    pixel_weight: nn.Parameter
    latent_weight: nn.Parameter | None

    def __init__(self, classes: int, config: DetectionPotentialConfig | None = None) -> None:
        super().__init__()
        self.config = DetectionPotentialConfig() if config is None else config
        self.pixel_weight = nn.Parameter(torch.full((classes,), self.config.pixel_weight))
        if self.config.convention == "equation":
            self.register_parameter("latent_weight", None)
        else:
            self.latent_weight = nn.Parameter(torch.full((classes,), self.config.latent_weight))

    def bind(self, foregrounds: Tensor, scores: Tensor, labels: Tensor) -> BoundDetections:
        """Attach the detections of one image.

        Args:
            foregrounds: (D, H, W) bool, F_d.
            scores: (D,) in [0, 1].
            labels: (D,) int64 in [1, L).

        Raises:
            InputError: shapes do not fit, or a label has no weight.
        """
        classes = len(self.pixel_weight)
        count = len(scores)
        if foregrounds.ndim != 3 or len(foregrounds) != count or labels.shape != (count,):
            raise InputError(
                "detection potentials: expected foregrounds (D, H, W), scores (D,), labels (D,), "
                f"got {tuple(foregrounds.shape)}, {tuple(scores.shape)}, {tuple(labels.shape)}"
            )
        if count and not 0 < int(labels.min()) <= int(labels.max()) < classes:
            found = ", ".join(map(str, sorted(set(labels.tolist()))))
            raise InputError(
                f"detection potentials: expected labels in 1..{classes - 1}, got {found}; "
                "map the detector's classes first"
            )
        return BoundDetections(self, foregrounds, scores.to(self.pixel_weight.dtype), labels)


class BoundDetections:
    """The potentials of one image's detections; a ``HigherOrderPotential``.

    With q_d = Pr(Y_d = 1) the expectation of eq. 2 adds c_d (2 q_d - 1) to the logit of class l_d
    at the pixels of F_d, and w s_d (2 mean_F Q(l_d) - 1) to the logit of Y_d.
    """

    def __init__(
        self, weights: DetectionPotentials, foregrounds: Tensor, scores: Tensor, labels: Tensor
    ) -> None:
        config = weights.config
        self._detached = config.convention == "released"
        self._foregrounds = foregrounds.reshape(len(scores), -1).to(scores.dtype)
        sizes = self._foregrounds.sum(1)
        pixel = weights.pixel_weight[labels] * scores
        shared = weights.latent_weight is None
        latent_weight = weights.pixel_weight if shared else weights.latent_weight
        assert latent_weight is not None
        self._pixel_pull = pixel / sizes.clamp(min=1) if shared else pixel
        self._latent_pull = latent_weight[labels] * scores
        self._sizes = sizes
        self._labels = labels
        self._classes = nn.functional.one_hot(labels, len(weights.pixel_weight)).to(scores.dtype)
        self._prior = _prior_logits(scores, config)

    def start(self) -> Tensor:
        """Return the logits (D,) of the detector's own confidence."""
        return self._prior

    def messages(self, probabilities: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Update pixels and latent variables from the previous state, both at once.

        Args:
            probabilities: (N, L).
            latent: (D,) logits.

        Returns:
            The increment (N, L) of the pixels' logits, and the new latent logits (D,).
        """
        valid = torch.sigmoid(latent.detach() if self._detached else latent)
        pull = self._pixel_pull * (2 * valid - 1)
        increment = self._foregrounds.T @ (self._classes * pull[:, None])
        sums = ((self._foregrounds @ probabilities) * self._classes).sum(1)
        update = self._latent_pull * (2 * sums / self._sizes.clamp(min=1) - 1)
        # Without foreground there is nothing to agree with: the detector's confidence stays.
        return increment, self._prior + torch.where(self._sizes > 0, update, 0.0)


def _prior_logits(scores: Tensor, config: DetectionPotentialConfig) -> Tensor:
    if config.convention == "released":
        return 2 * scores.clamp(max=1 - _CLIP) - 1
    neutral = torch.logit(scores.new_tensor(config.neutral_score))
    return torch.logit(scores, eps=_CLIP) - neutral
