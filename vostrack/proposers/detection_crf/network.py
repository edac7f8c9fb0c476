"""The two CRFs on top of class scores, as one differentiable network (Arnab and Torr 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vostrack.errors import InputError
from vostrack.proposers.detection_crf.instances import (
    BackgroundRule,
    box_masks,
    identify_instances,
)
from vostrack.proposers.detection_crf.options import DetectionCrfOptions
from vostrack.proposers.detection_crf.potentials import (
    DetectionPotentialConfig,
    DetectionPotentials,
)
from vostrack.proposers.detections import Detections
from vostrack.refine.dense_crf import GaussianKernel, KernelConfig, MeanField, image_kernels

__all__ = ["DetectionCrf", "DetectionCrfConfig", "DetectionCrfOutput"]


@dataclass(frozen=True)
class DetectionCrfConfig:
    """Settings of both CRFs; the weights are the start values of trainable parameters.

    The kernels' widths are those that Arnab and Torr released for their instance CRF of 2017. Their
    weights there, 3 and 4, erase small objects that a light semantic network is unsure of.

    Attributes:
        kernels: widths of the kernels; both CRFs share them, and so one lattice.
        spatial_weight: weight of the smoothness kernel in the class CRF.
        bilateral_weight: weight of the appearance kernel in the class CRF.
        iterations: mean-field steps of the class CRF.
        potentials: the detection potentials, or None to leave them out; the validity of a
            detection is then the detector's score.
        recalibrate: instances are identified with the latent validity; False uses the detector's
            score, though the potentials still shape the classes.
        background: see ``identify_instances``.
        instance_spatial_weight: weight of the smoothness kernel in the instance CRF.
        instance_bilateral_weight: weight of the appearance kernel in the instance CRF.
        instance_iterations: mean-field steps of the instance CRF.
        negligible: a detection whose share of every pixel stays below this takes no part in the
            instance CRF, whose cost grows with the labels; in [0, 1).
    """

    kernels: KernelConfig = field(default_factory=lambda: KernelConfig(3.0, 49.0, 5.0))
    spatial_weight: float = 1.0
    bilateral_weight: float = 1.0
    iterations: int = DetectionCrfOptions.iterations
    potentials: DetectionPotentialConfig | None = field(default_factory=DetectionPotentialConfig)
    recalibrate: bool = DetectionCrfOptions.recalibrate
    background: BackgroundRule = "unexplained"
    instance_spatial_weight: float = 1.0
    instance_bilateral_weight: float = 1.0
    instance_iterations: int = DetectionCrfOptions.instance_iterations
    negligible: float = 0.1


class DetectionCrfOutput(NamedTuple):
    """What the network computes for one image.

    Attributes:
        class_logits: (L, H, W), after the class CRF.
        validity: (D,) in [0, 1], the recalibrated detection scores Pr(Y_d = 1), or the detector's
            scores where recalibration is off.
        instance_logits: (D + 1, H, W), the background first.
    """

    class_logits: Tensor
    validity: Tensor
    instance_logits: Tensor


class DetectionCrf(nn.Module):
    """Class CRF with detection potentials, instance identification, instance CRF.

    Put it behind any network with class scores and train both together; the number of instances
    differs from image to image, so the instance CRF's weights know no labels.

    Args:
        classes: L, background included.
        config: kernels, weights and iterations.
    """

    def __init__(self, classes: int, config: DetectionCrfConfig | None = None) -> None:
        super().__init__()
        config = DetectionCrfConfig() if config is None else config
        self.config = config
        self.class_crf = MeanField(
            (config.spatial_weight, config.bilateral_weight), classes, config.iterations
        )
        self.instance_crf = MeanField(
            (config.instance_spatial_weight, config.instance_bilateral_weight),
            iterations=config.instance_iterations,
        )
        self.potentials = (
            None if config.potentials is None else DetectionPotentials(classes, config.potentials)
        )

    def forward(
        self,
        image: Tensor,
        class_logits: Tensor,
        detections: Detections,
        foregrounds: Tensor,
        kernels: Sequence[GaussianKernel] | None = None,
    ) -> DetectionCrfOutput:
        """Infer classes and instances of one image.

        Args:
            image: (3, H, W) in [0, 1].
            class_logits: (L, H, W).
            detections: D boxes in pixels of this image, labels in 1..L - 1.
            foregrounds: (D, H, W) bool, the rough segmentation F_d of each box.
            kernels: ``image_kernels`` of this image and the configured widths, where several
                networks share them; built when None.

        Returns:
            Logits of classes and instances; differentiable with respect to the class logits and
            all weights.

        Raises:
            InputError: shapes do not fit one another, or the scores are not finite.
        """
        if image.shape[1:] != class_logits.shape[1:]:
            raise InputError(
                f"DetectionCrf: image of shape {tuple(image.shape)} and class scores of shape "
                f"{tuple(class_logits.shape)}; resize the scores to the image"
            )
        # Half precision would lose what the exponentials of mean field amplify.
        with torch.autocast(image.device.type, enabled=False):
            precision = torch.promote_types(class_logits.dtype, torch.float32)
            if kernels is None:
                kernels = image_kernels(image, self.config.kernels)
            logits = class_logits.to(precision)
            return self._infer(image, logits, detections, foregrounds, kernels)

    def _infer(
        self,
        image: Tensor,
        class_logits: Tensor,
        detections: Detections,
        foregrounds: Tensor,
        kernels: Sequence[GaussianKernel],
    ) -> DetectionCrfOutput:
        labels = torch.from_numpy(np.ascontiguousarray(detections.labels)).to(image.device)
        scores = torch.from_numpy(np.ascontiguousarray(detections.scores)).to(image)
        term = None
        if self.potentials is not None and len(detections):
            term = self.potentials.bind(foregrounds, scores, labels)
        refined, latent = self.class_crf(class_logits, kernels, term)
        validity = scores
        if latent is not None and self.config.recalibrate:
            validity = torch.sigmoid(latent)
        covered = torch.from_numpy(box_masks(detections.boxes, *image.shape[1:]))
        unary = identify_instances(
            torch.softmax(refined, 0),
            covered.to(image.device),
            validity,
            labels,
            self.config.background,
        )
        return DetectionCrfOutput(refined, validity, self._instances(unary, kernels))

    def _instances(self, unary: Tensor, kernels: Sequence[GaussianKernel]) -> Tensor:
        """Run the instance CRF (D + 1, H, W) on the background and the labels that matter."""
        logits = unary.log()
        shares = unary.detach().flatten(1).amax(1)
        shares[0] = 1
        matter = torch.nonzero(shares >= self.config.negligible)[:, 0]
        refined = self.instance_crf(logits[matter], kernels).logits
        return logits.index_copy(0, matter, refined)
