"""DeepLabv3-MobileNetV2: layout of the weights, padding, and the scores it is known for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vostrack.errors import InputError
from vostrack.eval.semantic import ConfusionMatrix
from vostrack.models.deeplab_mobilenetv2 import DeepLabMobileNetV2, load_deeplab_mobilenetv2


def _weights(shared: Path) -> Path:
    return shared / "weights" / "deeplabv3_mobilenetv2_voc_bnfolded.pt"


def test_scores_have_the_size_of_the_image() -> None:
    network = DeepLabMobileNetV2(classes=5).eval()
    with torch.inference_mode():
        assert network(torch.rand(1, 3, 33, 50)).shape == (1, 5, 33, 50)
        assert network(torch.rand(1, 3, 1, 1)).shape == (1, 5, 1, 1)


@pytest.mark.parametrize(("size", "expected"), [(513, 33), (512, 32), (65, 5)])
def test_output_stride_is_sixteen(size: int, expected: int) -> None:
    network = DeepLabMobileNetV2().eval()
    with torch.inference_mode():
        assert network.features(torch.zeros(1, 3, size, 49)).shape == (1, 320, expected, 4)


def test_other_shapes_and_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\(B, 3, H, W\)"):
        DeepLabMobileNetV2()(torch.zeros(3, 8, 8))
    with pytest.raises(InputError, match="no file"):
        load_deeplab_mobilenetv2(tmp_path / "none.pt")
    path = tmp_path / "other.pt"
    torch.save({"classifier.bias": torch.zeros(21)}, path)
    with pytest.raises(InputError, match="folded batch normalisation"):
        load_deeplab_mobilenetv2(path)


@pytest.mark.shared_data
def test_known_accuracy_on_four_stills(shared_dir: Path) -> None:
    # Over all 44 stills mean IoU is 0.751 and pixel accuracy 0.953.
    folder = shared_dir / "data" / "stills" / "VOC2007"
    network = load_deeplab_mobilenetv2(_weights(shared_dir))
    matrix = ConfusionMatrix(21)
    for path in sorted((folder / "JPEGImages").glob("*.jpg"))[:4]:
        with Image.open(path) as image:
            pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).float() / 255
        with Image.open(folder / "SegmentationClass" / f"{path.stem}.png") as image:
            truth = np.array(image)
        with torch.inference_mode():
            prediction = network(pixels[None])[0].argmax(0).numpy().astype(np.uint8)
        matrix.update(prediction, truth)
    assert matrix.compute().pixel_accuracy > 0.95
