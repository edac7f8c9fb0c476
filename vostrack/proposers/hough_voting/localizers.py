"""Localizers predict, for each cell and class, the box that it votes for."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vostrack.arrays import FloatArray
from vostrack.errors import InputError
from vostrack.models.fcrn import Fcrn, load_fcrn
from vostrack.models.foreground import SegmentationNet
from vostrack.models.localizer import (
    LocalizerHead,
    component_boxes,
    load_localizer,
    localizer_fingerprint,
)
from vostrack.models.shared_backbone import (
    BackboneKind,
    BackboneNetwork,
    backbone_fingerprint,
    backbone_levels,
    load_backbone_network,
)
from vostrack.models.target_net import TargetNet
from vostrack.models.weights import load_network, shipped_weights
from vostrack.proposers.hough_voting.boxes import cell_centres, decode_boxes
from vostrack.proposers.hough_voting.corrections import (
    DEFAULT_AGREEMENT,
    check_agreement,
    corrected_boxes,
)
from vostrack.proposers.hough_voting.views import ViewConfig, average_views
from vostrack.protocols import BackboneFeatures

__all__ = ["FcrnLocalizer", "HeadLocalizer", "Localizer"]


class Localizer(Protocol):
    """Gives the votes of an image.

    Attributes:
        stride: pixels per cell.
    """

    stride: int

    def boxes(self, image: Tensor, masks: FloatArray, probabilities: FloatArray) -> FloatArray:
        """Predict.

        Args:
            image: (1, 3, H, W) in [0, 1].
            masks: (K, h, w) in [0, 1], the probability of each requested class, by cells.
            probabilities: (L, H, W) in [0, 1] of all classes, background first.

        Returns:
            (K or 1, 4, h, w) x0, y0, x1, y1 in pixels.
        """
        ...


class HeadLocalizer:
    """The light head on the features of a backbone: shared by a tracker, or of its own pass.

    Implements ``Localizer`` and ``FeatureConsumer``.

    Args:
        network: whose backbone the head was trained on; None without a head.
        head: the localisation head, on the same device. Without one, every cell votes for the
            connected component of the mask that it lies in.
        agreement: a predicted box whose intersection over union with that component's box is
            higher becomes the component's box, because so small a difference usually is an error of
            the head. 1 leaves all boxes as predicted.

    Attributes:
        backbone: name of the backbone that the head reads, see ``backbone_fingerprint``;
            None without a head.
    """

    stride = LocalizerHead.stride

    def __init__(
        self,
        network: BackboneNetwork | None,
        head: LocalizerHead | None,
        agreement: float = DEFAULT_AGREEMENT,
    ) -> None:
        check_agreement(agreement)
        if network is None and head is not None:
            raise InputError("localizer: a head needs the network whose backbone it was trained on")
        self.backbone = None if network is None or head is None else backbone_fingerprint(network)
        self._network = network
        self._head = head
        self._agreement = agreement
        self._foreground = network if isinstance(network, SegmentationNet) else None
        self._shared: BackboneFeatures | None = None
        self._seen: tuple[Tensor, BackboneNetwork, dict[int, Tensor]] | None = None

    @classmethod
    def load(
        cls, device: torch.device, head: Path | None = None, *, tracked: TargetNet | None = None
    ) -> HeadLocalizer:
        """Build it on the backbone that the head was trained on.

        Args:
            device: where it runs.
            head: file that ``vostrack train localizer`` wrote; None for no head.
            tracked: the target network of the tracker, on the device; used if the head was trained
                on it.

        Raises:
            InputError: the file is no localisation head, or one for a network that is neither the
                tracker's nor the package's.
        """
        if head is None:
            return cls(None, None)
        loaded = load_localizer(head).to(device)
        return cls(_backbone_of(head, device, tracked), loaded)

    def use_features(self, features: BackboneFeatures | None) -> None:
        """Take features for the next ``boxes``; features of another backbone are ignored."""
        self._shared = features

    @torch.inference_mode()
    def foreground(self, image: Tensor) -> FloatArray:
        """Return the foreground probability (H, W) of an image (1, 3, H, W).

        If the head's own network predicts no foreground, the package's foreground network is used.
        """
        if self._foreground is None:
            self._foreground = load_network(shipped_weights()).to(image.device).eval()
        network = self._foreground
        maps = self._maps(network, image)
        seen = network.with_semantic(image, [maps[s] for s in network.backbone.strides])
        logits = network.decode(seen, image.shape[-2:])
        probability: FloatArray = logits.softmax(1)[0, 1].cpu().numpy()
        return probability

    @torch.inference_mode()
    def boxes(self, image: Tensor, masks: FloatArray, probabilities: FloatArray) -> FloatArray:
        """Predict; see ``Localizer``. The head runs once for each mask."""
        shared, self._shared = self._shared, None
        rough = np.stack([component_boxes(mask, self.stride) for mask in masks])
        if self._head is None:
            return rough
        if shared is None or shared.backbone != self.backbone:
            shared = self._own(image)
        frame = (image.shape[-2], image.shape[-1])
        return corrected_boxes(self._head, shared, frame, masks, rough, self._agreement)

    def _own(self, image: Tensor) -> BackboneFeatures:
        """Run the backbone on an image (1, 3, H, W), scaled down to the head's training size."""
        assert self._network is not None
        assert self._head is not None
        assert self.backbone is not None
        height, width = image.shape[-2:]
        ratio = min(1.0, self._head.config.longest / max(height, width))
        if ratio < 1:
            # So objects have the sizes that the head was trained with.
            size = tuple(max(16, round(side * ratio / 16) * 16) for side in (height, width))
            image = F.interpolate(image, size, mode="bilinear", align_corners=False, antialias=True)
        maps = self._maps(self._network, image)
        seen = (image.shape[-2], image.shape[-1])
        return BackboneFeatures(self.backbone, maps[8], maps[16], (0.0, 0.0, 1.0, 1.0), seen)

    def _maps(self, network: BackboneNetwork, image: Tensor) -> dict[int, Tensor]:
        """Run a backbone, once for the foreground and the boxes of the same image."""
        if self._seen is None or self._seen[0] is not image or self._seen[1] is not network:
            maps = dict(zip(network.backbone.strides, backbone_levels(network, image), strict=True))
            self._seen = (image, network, maps)
        return self._seen[2]


def _backbone_of(head: Path, device: torch.device, tracked: TargetNet | None) -> BackboneNetwork:
    """Find the network that the head of a file was trained on."""
    wanted = localizer_fingerprint(head)
    if wanted is None:
        return load_backbone_network("foreground").to(device)
    if tracked is not None and backbone_fingerprint(tracked) == wanted:
        return tracked
    for kind in get_args(BackboneKind):
        if wanted.startswith(f"{kind}-"):
            network = load_backbone_network(kind).to(device)
            if backbone_fingerprint(network) == wanted:
                return network
    raise InputError(
        f"{head} was trained on the backbone {wanted}, which belongs neither to a network of this "
        "package nor to the tracker's; train it on one of them with vostrack train localizer, or "
        "track with the target network that it was trained on (`weights`)"
    )


class FcrnLocalizer:
    """The paper's localisation network: an FCRN with four numbers for each class.

    Implements ``Localizer``.

    Args:
        network: with 4 K outputs.
        views: the views to average over; None uses only the image itself.

    Attributes:
        classes: K.
    """

    def __init__(self, network: Fcrn, views: ViewConfig | None = None) -> None:
        self.classes = network.outputs // 4
        self._network = network
        self._views = views
        self.stride = int(network.config.output_stride)

    @classmethod
    def load(
        cls, path: Path, device: torch.device, views: ViewConfig | None = None
    ) -> FcrnLocalizer:
        """Read the network.

        Raises:
            InputError: the file holds no FCRN.
        """
        return cls(load_fcrn(path).to(device), views)

    @torch.inference_mode()
    def boxes(self, image: Tensor, masks: FloatArray, probabilities: FloatArray) -> FloatArray:
        """Predict; see ``Localizer``. The masks only define the grid."""
        if self._views is None:
            transforms = self._network(image)
        else:
            transforms = average_views(self._network, image, self._views, transforms=True)
        centres = cell_centres(masks.shape[1], masks.shape[2], self.stride).to(image.device)
        by_class = transforms.reshape(-1, 4, *transforms.shape[-2:])
        boxes = decode_boxes(by_class, centres)
        result: FloatArray = boxes.cpu().numpy()
        return result
