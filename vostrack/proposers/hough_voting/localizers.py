"""What can say, for each cell and class, which box it votes for."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vostrack.errors import InputError
from vostrack.models.fcrn import Fcrn, load_fcrn
from vostrack.models.foreground import SegmentationNet
from vostrack.models.localizer import LocalizerHead, component_boxes, load_localizer
from vostrack.models.weights import load_network, shipped_weights
from vostrack.proposers.hough_voting.boxes import (
    box_overlap,
    cell_centres,
    decode_boxes,
    encode_boxes,
)
from vostrack.proposers.hough_voting.views import ViewConfig, average_views

__all__ = ["DEFAULT_AGREEMENT", "FcrnLocalizer", "HeadLocalizer", "Localizer"]

DEFAULT_AGREEMENT = 0.6

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
        agreement: a predicted box whose intersection over union with that component's box is
            higher becomes the component's box: such a difference is rather an error of the head.
            1 leaves all as predicted.
    """

    stride = LocalizerHead.stride

    def __init__(
        self,
        network: SegmentationNet,
        head: LocalizerHead | None,
        agreement: float = DEFAULT_AGREEMENT,
    ) -> None:
        if not 0 <= agreement <= 1:
            raise InputError(f"agreement: expected a value in [0, 1], got {agreement}")
        self._network = network
        self._head = head
        self._agreement = agreement
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
        logits = F.interpolate(logits, size=image.shape[-2:], mode="bilinear", align_corners=False)
        probability: FloatArray = logits.softmax(1)[0, 1].cpu().numpy()
        return probability

    @torch.inference_mode()
    def boxes(self, image: Tensor, masks: FloatArray) -> FloatArray:
        """Predict; see ``Localizer``. The head runs once for each mask."""
        rough = np.stack([component_boxes(mask, self.stride) for mask in masks])
        if self._head is None:
            return rough
        height, width = image.shape[-2:]
        ratio = min(1.0, self._head.config.longest / max(height, width))
        if ratio < 1:
            # A head sees objects in the sizes that it was trained with.
            size = tuple(max(16, round(side * ratio / 16) * 16) for side in (height, width))
            image = F.interpolate(image, size, mode="bilinear", align_corners=False, antialias=True)
        boxes = self._predict(image, masks)
        scale = np.array([width / image.shape[-1], height / image.shape[-2]] * 2, np.float32)
        near = scale[None, :, None, None] * _to_grid(boxes, masks.shape[1:], cv2.INTER_NEAREST)
        overlap = box_overlap(torch.from_numpy(near), torch.from_numpy(rough)).numpy()
        agree = (overlap > self._agreement)[:, None]
        return np.where(agree, rough, near).astype(np.float32)

    def _predict(self, image: Tensor, masks: FloatArray) -> FloatArray:
        """Return the boxes (K, 4, h, w) on the grid and in the pixels of an image."""
        assert self._head is not None
        features = dict(zip(self._network.backbone.strides, self._features(image), strict=True))
        grid = (features[8].shape[-2], features[8].shape[-1])
        centres = cell_centres(*grid, self.stride).to(image.device)
        results = []
        for mask in _to_grid(masks[:, None], grid, cv2.INTER_AREA)[:, 0]:
            rough = torch.from_numpy(component_boxes(mask, self.stride)).to(image.device)
            transforms = self._head(
                features[8],
                features[16],
                torch.from_numpy(mask).to(image.device)[None],
                encode_boxes(rough, centres)[None],
            )
            results.append(decode_boxes(transforms[0], centres).cpu().numpy())
        return np.stack(results)

    def _features(self, image: Tensor) -> tuple[Tensor, ...]:
        """Run the trunk, once for the foreground and the boxes of the same image."""
        if self._seen is None or self._seen[0] is not image:
            network = self._network
            features = network.backbone((image - network.mean) / network.std)
            self._seen = (image, tuple(features))
        return self._seen[1]


def _to_grid(maps: FloatArray, grid: tuple[int, ...], interpolation: int) -> FloatArray:
    """Resize maps (K, C, h, w) to another grid (h', w')."""
    if maps.shape[2:] == tuple(grid):
        return maps
    flat = maps.reshape(-1, *maps.shape[2:])
    resized = [cv2.resize(m, (grid[1], grid[0]), interpolation=interpolation) for m in flat]
    return np.stack(resized).reshape(*maps.shape[:2], *grid).astype(np.float32)


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
