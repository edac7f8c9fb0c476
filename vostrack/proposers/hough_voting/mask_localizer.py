"""Boxes from the shapes of the masks alone: a localisation head on a network for label maps.

Wu et al. (2016) predict the boxes from the image. A light head that does so generalizes poorly
beyond its training images. What separates touching objects in a *mask*, necks and outlines, is
much the same everywhere, and there are many masks to train on.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vostrack.arrays import FloatArray
from vostrack.errors import InputError
from vostrack.models.localizer import (
    LocalizerHead,
    component_boxes,
    load_localizer,
    localizer_fingerprint,
)
from vostrack.models.shared_backbone import fingerprint_of
from vostrack.models.weights import shipped_weights
from vostrack.proposers.displacement.encoding import encode_labels
from vostrack.proposers.displacement.networks import DisplacementNet, load_displacement_net
from vostrack.proposers.hough_voting.corrections import (
    DEFAULT_AGREEMENT,
    check_agreement,
    corrected_boxes,
)
from vostrack.proposers.hough_voting.localizers import HeadLocalizer
from vostrack.protocols import BackboneFeatures

__all__ = ["BACKBONE_KIND", "MaskLocalizer", "label_map_features", "label_map_fingerprint"]

BACKBONE_KIND = "label-map"
"""The first part of the names of the backbones that these heads are trained on."""


# Sides of the label map are multiples of the backbone's second deepest stride.
_STEP = 16


def label_map_fingerprint(network: DisplacementNet) -> str:
    """Name the backbone of a displacement network; see ``backbone_fingerprint``."""
    return fingerprint_of(BACKBONE_KIND, network.backbone)


@torch.no_grad()
def label_map_features(network: DisplacementNet, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Run the backbone on label maps.

    Args:
        network: its backbone runs.
        labels: (B, H, W) integers: 0 background, 1..254 classes, 255 void; sides multiples of 16.

    Returns:
        (B, C, H / 8, W / 8) and (B, C', H / 16, W / 16).
    """
    levels = network.backbone(encode_labels(labels, network.table))
    return levels[2], levels[3]


class MaskLocalizer:
    """A light head on the backbone of the network for label maps. Implements ``Localizer``.

    Args:
        network: for label maps, whose backbone the head was trained on.
        head: the localisation head, on the same device.
        agreement: as for ``HeadLocalizer``.
    """

    stride = LocalizerHead.stride

    def __init__(
        self, network: DisplacementNet, head: LocalizerHead, agreement: float = DEFAULT_AGREEMENT
    ) -> None:
        check_agreement(agreement)
        self._network = network
        self._head = head
        self._agreement = agreement
        self._plain = HeadLocalizer(None, None)

    @classmethod
    def load(cls, device: torch.device, head: Path | None = None) -> MaskLocalizer:
        """Build it on the network for label maps that comes with the package.

        Args:
            device: where it runs.
            head: file that ``vostrack train mask-localizer`` wrote; None for that of the package.

        Raises:
            InputError: the file is no localisation head, or one for another network.
        """
        path = head or shipped_weights("localizer")
        network = load_displacement_net(shipped_weights("displacement")).to(device)
        loaded = load_localizer(path).to(device)
        own, wanted = label_map_fingerprint(network), localizer_fingerprint(path)
        if wanted != own:
            raise InputError(
                f"{path} was trained on the backbone {wanted}, the package has {own}; train it "
                "again with vostrack train mask-localizer"
            )
        return cls(network, loaded)

    def foreground(self, image: Tensor) -> FloatArray:
        """Return the probability of the package's foreground network; see ``HeadLocalizer``."""
        return self._plain.foreground(image)

    @torch.inference_mode()
    def boxes(self, image: Tensor, masks: FloatArray, probabilities: FloatArray) -> FloatArray:
        """Predict; see ``Localizer``. The image is ignored."""
        rough = np.stack([component_boxes(mask, self.stride) for mask in masks])
        seen = self._look(probabilities)
        frame = (probabilities.shape[1], probabilities.shape[2])
        return corrected_boxes(self._head, seen, frame, masks, rough, self._agreement)

    def _look(self, probabilities: FloatArray) -> BackboneFeatures:
        """Run the backbone on the label map of (L, H, W), at the training size of the head."""
        height, width = probabilities.shape[1:]
        ratio = self._head.config.longest / max(height, width)
        size = tuple(
            max(2 * _STEP, round(side * ratio / _STEP) * _STEP) for side in (height, width)
        )
        small = F.interpolate(torch.from_numpy(probabilities)[None], size=size, mode="nearest")
        labels = small.argmax(1).to(self._network.table.device)
        fine, coarse = label_map_features(self._network, labels)
        return BackboneFeatures(
            BACKBONE_KIND, fine, coarse, (0.0, 0.0, 1.0, 1.0), (size[0], size[1])
        )
