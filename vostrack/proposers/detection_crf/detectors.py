"""Where boxes come from: torchvision's Faster R-CNN, or the objects of the previous frame."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.proposers.detections import VOC_CLASSES, Detections

__all__ = ["PreviousObjects", "TorchvisionDetector"]

# COCO's names of the VOC classes, where they differ.
_COCO_TO_VOC = {
    "airplane": "aeroplane",
    "couch": "sofa",
    "dining table": "diningtable",
    "motorcycle": "motorbike",
    "potted plant": "pottedplant",
    "tv": "tvmonitor",
}


class TorchvisionDetector:
    """Faster R-CNN trained on COCO, its classes mapped to the 20 of VOC; others are dropped.

    Args:
        network: a torchvision detection network.
        categories: the network's class names, in the order of its labels.
        device: where it runs.
    """

    def __init__(
        self, network: nn.Module, categories: list[str], device: str | torch.device = "cpu"
    ) -> None:
        self.device = torch.device(device)
        self.network = network.eval().to(self.device)
        names = [_COCO_TO_VOC.get(name, name) for name in categories]
        self._labels = np.array(
            [VOC_CLASSES.index(n) if n in VOC_CLASSES else 0 for n in names], dtype=np.int64
        )

    @classmethod
    def pretrained(
        cls, name: str = "fasterrcnn_resnet50_fpn_v2", device: str | torch.device = "cpu"
    ) -> TorchvisionDetector:
        """Fetch a network with its COCO weights, which torchvision caches.

        Raises:
            InputError: the weights cannot be downloaded, or torchvision has no such network.
        """
        from torchvision.models import get_model, get_model_weights

        try:
            weights = get_model_weights(name).DEFAULT
            network = get_model(name, weights=weights)
        except (OSError, ValueError) as error:
            raise InputError(
                f"detector {name}: torchvision cannot load its weights ({error}); give a file of "
                "boxes with `detections`"
            ) from None
        return cls(network, weights.meta["categories"], device)

    @torch.inference_mode()
    def __call__(self, frame: UInt8Array) -> Detections:
        """Detect in a frame (H, W, 3) uint8 RGB."""
        image = torch.from_numpy(frame).to(self.device).permute(2, 0, 1).float() / 255
        found = {key: value.cpu().numpy() for key, value in self.network([image])[0].items()}
        labels = self._labels[found["labels"]]
        detections = Detections.from_lists(found["boxes"], found["scores"].clip(0, 1), labels)
        return detections[labels > 0]


class PreviousObjects:
    """The boxes of tracked objects in the previous frame, as detections of this one.

    Args:
        margin: a box grows by this share of its sides in each direction, for what the object may
            have moved.
        score: confidence given to each box, in [0, 1].
    """

    def __init__(self, margin: float = 0.15, score: float = 0.9) -> None:
        self.margin = margin
        self.score = score
        self._boxes: list[list[float]] = []

    def commit(self, labels: UInt8Array) -> None:
        """Take the label map (H, W) of a frame; 0 is background and 255 void."""
        self._boxes = []
        for label in np.unique(labels):
            if label in (0, 255):
                continue
            rows, columns = np.nonzero(labels == label)
            x0, x1 = float(columns.min()), float(columns.max()) + 1
            y0, y1 = float(rows.min()), float(rows.max()) + 1
            dx, dy = self.margin * (x1 - x0), self.margin * (y1 - y0)
            self._boxes.append([x0 - dx, y0 - dy, x1 + dx, y1 + dy])

    def __call__(self, frame: UInt8Array) -> Detections:
        """Return one box an object of the last committed map; classes unknown."""
        count = len(self._boxes)
        return Detections.from_lists(self._boxes, [self.score] * count, [0] * count)
