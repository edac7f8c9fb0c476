"""The networks that detection-crf is given: detectors and semantic networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vostrack.errors import InputError
from vostrack.proposers.detection_crf import TorchvisionDetector
from vostrack.proposers.semantic import build_semantic


class _FakeDetector(nn.Module):
    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        return [
            {
                "boxes": torch.tensor([[1.0, 2, 30, 40], [5, 5, 20, 20], [0, 0, 9, 9]]),
                "scores": torch.tensor([0.9, 0.8, 0.7]),
                "labels": torch.tensor([1, 2, 3]),
            }
        ]


def test_detector_maps_coco_classes_to_voc() -> None:
    detector = TorchvisionDetector(_FakeDetector(), ["__background__", "couch", "kite", "person"])
    detections = detector(np.zeros((50, 50, 3), dtype=np.uint8))
    assert detections.labels.tolist() == [18, 15]
    np.testing.assert_allclose(detections.scores, [0.9, 0.7])


def test_unknown_semantic_network_is_refused() -> None:
    with pytest.raises(InputError, match="expected one of deeplab_mobilenetv2"):
        build_semantic("segformer")
    with pytest.raises(InputError, match="`semantic_weights`"):
        build_semantic("deeplab_mobilenetv2")
