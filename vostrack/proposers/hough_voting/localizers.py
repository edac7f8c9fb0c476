"""What can say, for each cell and class, which box it votes for."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vostrack.models.fcrn import Fcrn, load_fcrn
from vostrack.models.foreground import SegmentationNet
from vostrack.models.localizer import LocalizerHead, component_boxes, load_localizer
from vostrack.models.weights import load_network, shipped_weights
from vostrack.proposers.hough_voting.boxes import cell_centres, decode_boxes, encode_boxes
from vostrack.proposers.hough_voting.views import ViewConfig, average_views

__all__ = ["FcrnLocalizer", "HeadLocalizer", "Localizer"]

FloatArray = NDArray[np.float32]


class Localizer(Protocol):
    """Gives the votes of an image.

    Attributes:
        stride: pixels per cell.
    """

    stride: int

    def boxes(self, image: Tensor, masks: FloatArray) -> FloatArray:
        """Predict.

        Args:
            image: (1, 3, H, W) in [0, 1].
            masks: (K, h, w) in [0, 1], the probability of each class but the background, by cells.

        Returns:
            (K or 1, 4, h, w) x0, y0, x1, y1 in pixels.
        """
        ...


class HeadLocalizer:
    """The light head on the trunk of the tracker's foreground network; one pass for both.

    Implements ``Localizer``.

    Args:
        network: the foreground network that the head was trained on.
        head: the localisation head, on the same device. Without one, every cell votes for the
            connected component of the mask that it lies in: what the head adds to.
    """

    stride = LocalizerHead.stride

    def __init__(self, network: SegmentationNet, head: LocalizerHead | None) -> None:
        self._network = network
        self._head = head
        self._seen: tuple[Tensor, tuple[Tensor, ...]] | None = None

    @classmethod
    def load(cls, device: torch.device, head: Path | None = None) -> HeadLocalizer:
        """Build it on the trunk that comes with the package.

        Args:
            device: where it runs.
            head: file that ``vostrack train localizer`` wrote; None for no head.

        Raises:
            InputError: the file is no localisation head.
        """
        network = load_network(shipped_weights()).to(device).eval()
        return cls(network, None if head is None else load_localizer(head).to(device))

    @torch.inference_mode()
    def foreground(self, image: Tensor) -> FloatArray:
        """Return the foreground probability (H, W) of an image (1, 3, H, W)."""
        logits = self._network.head(self._features(image)).float()
        logits = torch.nn.functional.interpolate(
            logits, size=image.shape[-2:], mode="bilinear", align_corners=False
        )
        probability: FloatArray = logits.softmax(1)[0, 1].cpu().numpy()
        return probability

    @torch.inference_mode()
    def boxes(self, image: Tensor, masks: FloatArray) -> FloatArray:
        """Predict; see ``Localizer``. The head runs once for each mask."""
        if self._head is None:
            return np.stack([component_boxes(mask, self.stride) for mask in masks])
        features = dict(zip(self._network.backbone.strides, self._features(image), strict=True))
        centres = cell_centres(masks.shape[1], masks.shape[2], self.stride).to(image.device)
        results = []
        for mask in masks:
            rough = torch.from_numpy(component_boxes(mask, self.stride)).to(image.device)
            transforms = self._head(
                features[8],
                features[16],
                torch.from_numpy(mask).to(image.device)[None],
                encode_boxes(rough, centres)[None],
            )
            results.append(decode_boxes(transforms, centres)[0].cpu().numpy())
        return np.stack(results)

    def _features(self, image: Tensor) -> tuple[Tensor, ...]:
        """Run the trunk, once for the foreground and the boxes of the same image."""
        if self._seen is None or self._seen[0] is not image:
            network = self._network
            features = network.backbone((image - network.mean) / network.std)
            self._seen = (image, tuple(features))
        return self._seen[1]


class FcrnLocalizer:
    """The paper's localisation network: an FCRN with four numbers for each class.

    Implements ``Localizer``.

    Args:
        network: with 4 K outputs.
        views: what is averaged over; None sees the image once.
    """

    def __init__(self, network: Fcrn, views: ViewConfig | None = None) -> None:
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
    def boxes(self, image: Tensor, masks: FloatArray) -> FloatArray:
        """Predict; see ``Localizer``. The masks only tell the grid."""
        if self._views is None:
            transforms = self._network(image)
        else:
            transforms = average_views(self._network, image, self._views, transforms=True)
        centres = cell_centres(masks.shape[1], masks.shape[2], self.stride).to(image.device)
        by_class = transforms.reshape(-1, 4, *transforms.shape[-2:])
        boxes = decode_boxes(by_class, centres)
        result: FloatArray = boxes.cpu().numpy()
        return result
