"""Maps, gates, an explicit linear system as oracle, scratch full of NaN; images and pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from vostrack.refine.spn import LightGuidanceHead, LightSpnConfig, numba_kernel, planes
from vostrack.refine.spn.training_images import TrainingImage

# Relative and absolute.
TOLERANCE = {
    torch.float64: (1e-10, 1e-11),
    torch.float32: (1e-4, 1e-5),
}
CHANNELS = (6, 10)
# Where the three sources of a pixel lie, per direction: (row, column) offsets.
SOURCES: dict[str, tuple[tuple[int, int], ...]] = {
    "left_right": ((-1, -1), (0, -1), (1, -1)),
    "right_left": ((-1, 1), (0, 1), (1, 1)),
    "top_bottom": ((-1, -1), (-1, 0), (-1, 1)),
    "bottom_top": ((1, -1), (1, 0), (1, 1)),
}


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    chosen: torch.dtype = request.param
    return chosen


@pytest.fixture
def close(dtype: torch.dtype) -> Callable[[Tensor, Tensor], None]:
    rtol, atol = TOLERANCE[dtype]

    def check(actual: Tensor, expected: Tensor) -> None:
        torch.testing.assert_close(actual, expected, rtol=rtol, atol=atol)

    return check


@pytest.fixture
def sample() -> Callable[..., Tensor]:
    """Draw normal numbers, always the same ones for a shape."""

    def draw(*shape: int, dtype: torch.dtype = torch.float64, scale: float = 1.0) -> Tensor:
        generator = torch.Generator().manual_seed(math.prod(shape))
        return (torch.randn(shape, generator=generator, dtype=torch.float64) * scale).to(dtype)

    return draw


@pytest.fixture
def solve() -> Callable[..., tuple[Tensor, Tensor, Tensor]]:
    """One plane by H = (I - D) X + P H over all its pixels at once, with its adjoint."""

    def system(
        x: Tensor, gates: Tensor, direction: str, grad: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        height, width = x.shape
        entries = [
            (k, r, c, r + dr, c + dc)
            for k, (dr, dc) in enumerate(SOURCES[direction])
            for r in range(height)
            for c in range(width)
            if 0 <= r + dr < height and 0 <= c + dc < width
        ]
        transition = torch.zeros(x.numel(), x.numel(), dtype=x.dtype)
        for k, r, c, sr, sc in entries:
            transition[r * width + c, sr * width + sc] = gates[k, r, c]
        identity = torch.eye(x.numel(), dtype=x.dtype)
        rest = identity - torch.diag(transition.sum(dim=1))
        h = torch.linalg.solve(identity - transition, rest @ x.flatten()).view_as(x)
        multiplier = torch.linalg.solve((identity - transition).T, grad.flatten())
        grad_x = (rest.T @ multiplier).view_as(x)
        grad_gates = torch.zeros_like(gates)
        for k, r, c, sr, sc in entries:
            grad_gates[k, r, c] = multiplier[r * width + c] * (h[sr, sc] - x[r, c])
        return h, grad_x, grad_gates

    return system


@pytest.fixture
def sources() -> dict[str, tuple[tuple[int, int], ...]]:
    return SOURCES


@pytest.fixture
def nan_scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill what torch and the numba kernel's numpy hand out uninitialised with NaN."""

    def poison(allocate: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def allocated(*args: Any, **kwargs: Any) -> Tensor:
            tensor = allocate(*args, **kwargs)
            return tensor.fill_(math.nan) if tensor.is_floating_point() else tensor

        return allocated

    for owner, name in (
        (torch, "empty"),
        (torch, "empty_like"),
        (torch.Tensor, "new_empty"),
    ):
        monkeypatch.setattr(owner, name, poison(getattr(owner, name)))

    def filled(shape: tuple[int, ...], dtype: Any) -> Any:
        return np.full(shape, math.nan, dtype)

    monkeypatch.setattr(numba_kernel, "empty", filled)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Set the number of threads, which then work on maps of any size, in tiles as of large ones."""
    monkeypatch.setattr(numba_kernel, "_PARALLEL_FROM", 0)
    monkeypatch.setattr(planes, "_TILE", 4)
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def image() -> Tensor:
    return torch.rand(3, 45, 70, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def scores() -> Tensor:
    return torch.rand(3, 45, 70, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def square() -> Tensor:
    """Two objects with sharp borders."""
    mask = torch.zeros(2, 45, 70)
    mask[0, 10:30, 7:33] = 1
    mask[1, 12:44, 40:69] = 1
    return mask


@pytest.fixture
def features() -> Callable[[Tensor], list[Tensor]]:
    """Stand in for a backbone: maps of 6 and 10 channels at strides 4 and 8, sizes rounded up."""

    def compute(image: Tensor) -> list[Tensor]:
        height, width = image.shape[-2:]
        generator = torch.Generator().manual_seed(3)
        return [
            torch.randn(len(image), c, -(-height // s), -(-width // s), generator=generator)
            for c, s in zip(CHANNELS, (4, 8), strict=True)
        ]

    return compute


@pytest.fixture
def trained_head() -> Callable[..., LightGuidanceHead]:
    """Build a head whose gates are open and vary with its inputs."""

    def build(stride: int = 2, **options: Any) -> LightGuidanceHead:
        torch.manual_seed(4)
        config = LightSpnConfig(CHANNELS, stride=2 if stride == 2 else 4, **options)
        head = LightGuidanceHead(config)
        nn.init.normal_(head.gates.weight, std=0.5)
        nn.init.ones_(head.gates.bias)  # type: ignore[arg-type]  # the convolution has a bias
        return head

    return build


@pytest.fixture
def picture() -> Callable[..., TrainingImage]:
    """Paint rectangles side by side, each of one label and colour, below a void stripe."""

    def paint(*labels: int, classes: bool = False) -> TrainingImage:
        mask = torch.zeros(70, 40 * len(labels), dtype=torch.long)
        image = torch.full((3, *mask.shape), 90, dtype=torch.uint8)
        for k, label in enumerate(labels):
            mask[10:60, 40 * k + 5 : 40 * k + 35] = label
            image[k % 3, 10:60, 40 * k + 5 : 40 * k + 35] = 250
        mask[5:8] = 255
        return TrainingImage(image, mask, classes)

    return paint


@pytest.fixture
def voc(tmp_path: Path, picture: Callable[..., TrainingImage]) -> Path:
    """VOC 2012 with two pictures, of classes 3 and 15 and of class 20."""
    root = tmp_path / "VOC2012"
    for folder in ("ImageSets/Segmentation", "JPEGImages", "SegmentationClass"):
        (root / folder).mkdir(parents=True)
    (root / "ImageSets/Segmentation/train.txt").write_text("2007_000032\n2011_003271\n")
    for name, labels in (("2007_000032", (3, 15)), ("2011_003271", (20,))):
        image, mask, _ = picture(*labels)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(root / "JPEGImages" / f"{name}.jpg")
        palette = Image.fromarray(mask.numpy().astype(np.uint8), mode="P")
        palette.putpalette([value for k in range(256) for value in (k, 255 - k, 7)])
        palette.save(root / "SegmentationClass" / f"{name}.png")
    return root
